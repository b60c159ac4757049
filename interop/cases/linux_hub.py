"""A Linux router as hub, our daemon as its spoke."""
import re
import time

from harness.cases import ALL, CI, QUICK, add, check, eventually
from harness.linux_lab import HUB, HUB_TUNNEL, LinuxLab, ping, transfer
from harness.linux_router_config import HUB_LOOPBACKS, SPOKE_LOOPBACKS

NEEDS = ("iputils-ping",)


def registered(hub, spoke, nbma="172.16.1.1", seconds=25):
    """Both ends agree that the spoke is registered, field by field."""
    def agreed():
        cache = {entry["protocol"]: entry for entry in hub.show_json("show ip nhrp cache json")["table"]}
        check("10.1.1.1" in cache, "the hub's cache has %s" % cache)
        theirs, ours = cache["10.1.1.1"], cache[HUB_TUNNEL]
        check((theirs["type"], theirs["nbma"], theirs["claimed_nbma"], theirs["timeout"]) == ("dynamic", nbma, "172.16.1.1", True), theirs)
        outside = None if nbma == "172.16.1.1" else nbma
        check(server(spoke) == {"address": ours["protocol"], "nbma": ours["nbma"], "outside_nbma": outside, "state": "responding"}, server(spoke))
        return True
    eventually("the hub's NHRP cache and our next-hop server agree", agreed, seconds, 0.1)


def server(spoke):
    """What `show ip nhrp nhs` says of the one server."""
    [nhs] = spoke.show("ip nhrp nhs")
    return {name: nhs[name] for name in ("address", "nbma", "outside_nbma", "state")}


def octets(spoke, behind_nat):
    """The guide's packet sizes; behind a NAT the reply has both entries of the NAT extension, 20 octets more."""
    spoke.wait_line(r"NHRP: Send Registration Request via Tunnel0 vrf 0, packet size: 108$", 1)
    spoke.wait_line(r"NHRP: Receive Registration Reply via Tunnel0 vrf 0, packet size: %d$" % (148 if behind_nat else 128), 1)
    reply = spoke.text().split("NHRP: Receive Registration Reply", 1)[1].split("NHRP: netid_in", 1)[0]
    entries = re.findall(r"client NBMA: (\S+)\n +client protocol: (\S+)", reply.split("NAT address Extension(9):", 1)[1])
    check(entries == [(HUB, HUB_TUNNEL)] + [("192.0.2.2", "10.1.1.1")] * behind_nat, "the NAT extension of the reply has %s" % entries)


def routed(frr, hub):
    """EIGRP adjacency at both ends, and the guide's loopbacks learned."""
    eventually("EIGRP neighbour at our end", lambda: HUB_TUNNEL in frr.show("show ip eigrp neighbor"), 30, 0.5)
    eventually("EIGRP neighbour at the hub", lambda: "10.1.1.1 " in hub.show("show ip eigrp neighbor"), 10, 0.1)


def learned(namespace, seconds=30):
    def probe():
        routes = namespace.ip("route")
        return all(a + " " in routes for a in HUB_LOOPBACKS)
    eventually("203.0.113.1-4 learned by EIGRP", probe, seconds, 0.2)


def with_hub(bench, way):
    lab = LinuxLab(bench)
    protected = way != "clear"
    hub = lab.linux_hub(psk="cisco123" if protected else None)
    behind = {"nat": lab.nat, "mtu": lambda: lab.narrow(1300, "172.16.1.0/24")}.get(way, lambda: None)()
    hub.wait_ready()
    spoke = lab.our_spoke(behind=behind, protected=protected)
    registered(hub, spoke, "192.0.2.2" if way == "nat" else "172.16.1.1")
    octets(spoke, way == "nat")
    frr = lab.frr(spoke, "eigrp", "10.1.1.1/24", SPOKE_LOOPBACKS)
    routed(frr, hub)
    learned(spoke.namespace)
    ping(spoke.namespace, SPOKE_LOOPBACKS[0], HUB_LOOPBACKS[0])
    figures = ""
    if protected:
        sas = hub.run("swanctl --list-sas")
        check("INSTALLED, TRANSPORT" in sas, "no CHILD_SA at the hub")
        check(("ESP in UDP" in hub.run("ip xfrm state; true") or "espinudp" in hub.run("ip xfrm state")) == (way == "nat"), "UDP encapsulation")
        lab.no_clear_gre()
    if way == "mtu":
        there, back = transfer(lab, spoke.namespace, SPOKE_LOOPBACKS[0], hub, 10 << 20)
        figures = "10 MiB to the hub's side in %.1f s, back in %.1f s" % (there, back)
        lab.no_clear_gre()
    if way == "restart":
        figures = restarted(lab, hub, spoke, frr)
    return figures


def restarted(lab, hub, spoke, frr):
    """Power cut and boot: our side finds out by dead peer detection or INVALID-SPI, and everything recovers alone."""
    hub.stop()
    # Within its hold time eigrpd would take the new hub for the old one (interop/README.md).
    eventually("our eigrpd gives its neighbour up", lambda: HUB_TUNNEL not in frr.show("show ip eigrp neighbor"), 30, 0.5)
    again = lab.boot(hub.config, lab.internet, hub.tap)
    again.wait_ready()
    started = time.monotonic()
    registered(again, spoke, seconds=90)
    ping(spoke.namespace, "10.1.1.1", HUB_TUNNEL, 30)
    recovered = time.monotonic() - started
    routed(frr, again)
    learned(spoke.namespace, 60)
    ping(spoke.namespace, SPOKE_LOOPBACKS[0], HUB_LOOPBACKS[0], 60)
    lab.no_clear_gre()
    return "recovered %.0f s after the hub was back" % recovered


def wrong_authentication(bench):
    """The hub's error indication quotes only the header and the mandatory part; ours says what it means."""
    lab = LinuxLab(bench)
    hub = lab.linux_hub(routing=None)
    hub.wait_ready()
    spoke = lab.our_spoke(authentication="WRONG")
    def reported():
        return [event for event in spoke.show("events") if event["event"] == "error_reported"]
    eventually("our side reports the error", reported, 25)
    [event] = reported()
    check((event["code"], event["nbma"], event["tunnel"]) == (11, HUB, "Tunnel0"), event)
    spoke.wait_line(r"NHRP: Receive Error Indication via Tunnel0 vrf 0", 1)
    spoke.wait_line(r"^ \(M\) error code: authentication failure\(11\)", 1)
    check({entry["type"] for entry in hub.show_json("show ip nhrp cache json")["table"]} == {"local"}, "the hub registered us")
    check(server(spoke)["state"] == "expecting", server(spoke))
    check([entry["type"] for entry in spoke.show("ip nhrp")] == ["static"], "our cache has more than what is configured")
    lab.no_clear_gre()


for way, sets, limit in (("guide", (QUICK, CI, ALL), 90), ("clear", (CI, ALL), 90), ("nat", (CI, ALL), 90), ("mtu", (CI, ALL), 150),
                         ("restart", (ALL,), 240)):
    add("linux/hub/" + way, with_hub, way, sets=sets, limit=limit, needs=NEEDS)
add("linux/hub/wrong-authentication", wrong_authentication, sets=(CI, ALL), limit=60, needs=NEEDS)
