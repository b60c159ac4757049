#!/bin/bash
# Process 1 of the Linux router: configures it from /host (the router's state directory), starts its daemons, then runs what
# the harness sends.  It refuses to run anywhere but in user-mode Linux.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C
mount -t proc proc /proc
grep -q 'User Mode Linux' /proc/cpuinfo || { echo "not a user-mode Linux: refusing"; exit 1; }
log() { read -r up _ </proc/uptime; echo "[router $up] $*"; }
nap() { read -r -t "$1" -u 9; } # as sleep, without a process

# --- file systems: the root is the unpacked packages, read only; what must be written is in memory -----------------------
read -r cmdline </proc/cmdline
state=${cmdline##*router.state=} state=${state%% *}
mount -t sysfs sys /sys
for d in run var tmp; do mount -t tmpfs tmpfs /$d; done
mount -t hostfs none /host -o "$state" || log "cannot mount the state directory"
. /host/router.env
mkdir -p /run/lock /run/frr /run/etc /var/log/frr /var/lib/frr /var/tmp
ln -s /run /var/run
mkfifo /run/nap && exec 9<>/run/nap
cp -r /etc/. /run/etc && mount --bind /run/etc /etc
mkdir -p /etc/pam.d /etc/frr /etc/swanctl
echo "$ROUTER" >/proc/sys/kernel/hostname
echo "$ROUTER" >/etc/hostname
echo "127.0.0.1 localhost" >/etc/hosts
printf '%s\n' "root:x:0:0:root:/root:/bin/bash" "nobody:x:65534:65534::/:/bin/false" "frr:x:990:990::/nonexistent:/bin/false" >/etc/passwd
printf '%s\n' "root:x:0:" "nogroup:x:65534:" "frr:x:990:" "frrvty:x:991:frr" >/etc/group
printf '%s\n' "auth sufficient pam_permit.so" "account sufficient pam_permit.so" >/etc/pam.d/frr

# --- kernel ---------------------------------------------------------------------------------------------------------------
modprobe -q -a $MODULES || log "some module is missing"
# Everything is loaded: from here the kernel must not look for algorithm modules, which costs seconds when the first SA is added.
echo >/proc/sys/kernel/modprobe
echo 1 >/proc/sys/net/ipv4/ip_forward
for scope in all default; do
  # nhrpd sends its own redirects; the tunnel's traffic is asymmetric by nature.
  for key in rp_filter send_redirects; do echo 0 >/proc/sys/net/ipv4/conf/$scope/$key; done
  echo 1 >/proc/sys/net/ipv6/conf/$scope/disable_ipv6
done 2>/dev/null

# --- interfaces -----------------------------------------------------------------------------------------------------------
{
  echo "link set lo up"
  echo "link set vec0 name eth0"
  echo "link set eth0 up"
  echo "addr add $NBMA dev eth0"
  echo "route add default via $GATEWAY dev eth0"
  n=0
  for a in $LOOPBACKS; do
    echo "link add loop$n type dummy"; echo "addr add $a/32 dev loop$n"; echo "link set loop$n up"
    n=$((n + 1))
  done
  # nhrpd finds its NBMA address only on a device with `local` and `dev`.
  echo "link add gre1 type gre key $GRE_KEY ttl 64 local ${NBMA%/*} dev eth0"
  echo "addr add $TUNNEL dev gre1"
  echo "link set gre1 mtu $TUNNEL_MTU multicast on up"
} | ip -force -batch - || log "ip failed"
# Once its SAs are gone the kernel sends GRE in clear; what fails closed is this rule.
clear_gre=${PROTECTED:+"-A OUTPUT -o eth0 -p 47 -m policy --dir out --pol none -j DROP"}
# nhrpd replicates multicast that it gets by NFLOG group 2, to each address of its multicast map; the kernel must not send it too.
iptables-legacy-restore <<END || log "iptables failed"
*mangle
-A FORWARD -o gre1 -p 6 -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss $MSS
COMMIT
*filter
-A FORWARD -i gre1 -o gre1 -m hashlimit --hashlimit-upto 4/minute --hashlimit-burst 1 --hashlimit-mode srcip,dstip --hashlimit-srcmask 24 --hashlimit-dstmask 24 --hashlimit-name redirect -j NFLOG --nflog-group 1 --nflog-size 128
-A OUTPUT -d 224.0.0.0/24 -o gre1 -j NFLOG --nflog-group 2
-A OUTPUT -d 224.0.0.0/24 -o gre1 -j DROP
$clear_gre
COMMIT
END
log "network up"

# --- daemons --------------------------------------------------------------------------------------------------------------
cp /host/*.conf /etc/frr/
[ -f /host/swanctl.conf ] && {
  cp /host/swanctl.conf /etc/swanctl/; cp /host/strongswan.conf /etc/strongswan.conf
  /usr/sbin/charon-systemd >/host/charon.out 2>&1 &
}
chown -R frr:frr /run/frr /var/log/frr /var/lib/frr /etc/frr
frr() { # DAEMON [OPTION...]
  local d=$1; shift
  /usr/lib/frr/$d -d -A 127.0.0.1 "$@" --log file:/host/log/$d.log --log-level debug 2>>/host/frr.out || log "$d failed"
}
wait_for() { for _ in $(seq 400); do [ -S "$1" ] && return; nap 0.05; done; log "no $1"; }
# Without mgmtd, zebra 10.7 asks for it in a busy loop.
frr mgmtd
frr zebra -s 1048576
wait_for /run/frr/zserv.api
[ -f /host/swanctl.conf ] && {
  wait_for /run/charon.vici
  swanctl --load-all --noprompt >/host/swanctl-load.out 2>&1 || log "swanctl --load-all failed"
}
frr nhrpd
[ -n "$ROUTING" ] && frr $ROUTING

# --- commands: one line each, "ID BASE64"; results are files in /host/x ---------------------------------------------------
stty -F /dev/ttyS0 raw -echo 2>/dev/null
exec 3<>/dev/ttyS0
log ready
: >/host/ready
while read -r id b64 <&3; do
  [ -n "$id" ] || continue
  (
    printf '%s' "$b64" | base64 -d >/run/command.$id
    bash /run/command.$id </dev/null >/host/x/$id.out 2>/host/x/$id.err
    echo $? >/host/x/$id.tmp
    mv /host/x/$id.tmp /host/x/$id.rc
    rm -f /run/command.$id
  ) &
done
log "no more commands"
