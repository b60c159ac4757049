/*
 * Preloaded into charon where the kernel has no ESP: installing, updating and deleting a security association
 * is acknowledged by the kernel without effect. IKE does not notice; `esp_peer` is the data plane instead.
 *
 * A request of these types to a netlink XFRM socket becomes NLMSG_NOOP with NLM_F_ACK, which netlink answers with
 * an acknowledgement of the same sequence number. SPIs are still allocated by the kernel, which needs no ESP for it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

typedef ssize_t (*sendto_fn)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);

static int option(int socket, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	return getsockopt(socket, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

static bool changes_an_sa(const struct nlmsghdr *request)
{
	return request->nlmsg_type == XFRM_MSG_NEWSA || request->nlmsg_type == XFRM_MSG_UPDSA ||
	       request->nlmsg_type == XFRM_MSG_DELSA;
}

ssize_t sendto(int socket, const void *buffer, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
	static sendto_fn next;
	if (!next)
		next = (sendto_fn)dlsym(RTLD_NEXT, "sendto");
	if (length < sizeof(struct nlmsghdr) || !to || to->sa_family != AF_NETLINK || !changes_an_sa(buffer) ||
	    option(socket, SO_DOMAIN) != AF_NETLINK || option(socket, SO_PROTOCOL) != NETLINK_XFRM)
		return next(socket, buffer, length, flags, to, size);
	struct nlmsghdr nothing = *(const struct nlmsghdr *)buffer;
	nothing.nlmsg_len = sizeof(nothing);
	nothing.nlmsg_type = NLMSG_NOOP;
	nothing.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ssize_t sent = next(socket, &nothing, sizeof(nothing), flags, to, size);
	return sent == (ssize_t)sizeof(nothing) ? (ssize_t)length : sent;
}
