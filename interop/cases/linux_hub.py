"""A Linux router as hub, our daemon as its spoke."""
import re
import time

from harness.cases import ALL, CI, QUICK, add, check, eventually
from harness.linux_lab import HUB_TUNNEL, LinuxLab, ping, transfer
from harness.linux_router_config import HUB_LOOPBACKS, SPOKE_LOOPBACKS

NEEDS = ("iputils-ping",)


def registered(hub, spoke, nbma="172.16.1.1", seconds=25):
    """Both ends agree that the spoke is registered."""
    eventually("the hub's NHRP cache has 10.1.1.1 at %s" % nbma,
               lambda: any("dynamic" in l and "10.1.1.1 " in l and nbma in l for l in hub.show("show ip nhrp cache").splitlines()),
               seconds, 0.1)
    eventually("our next-hop server answers", lambda: answers(spoke), 5)


def answers(spoke):
    """`show ip nhrp nhs` as the guide prints it: E and R before what is expecting replies and responding."""
    return re.search(r"^ *%s +RE\b" % re.escape(HUB_TUNNEL), spoke.command("show", "ip", "nhrp", "nhs"), re.M)


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
    if way == "nat":
        check("172.16.1.1" in hub.show("show ip nhrp cache"), "the claimed NBMA address is not in the hub's cache")
    if way == "mtu":
        there, back = transfer(lab, spoke.namespace, SPOKE_LOOPBACKS[0], hub, 10 << 20)
        figures = "10 MiB to the hub's side in %.1f s, back in %.1f s" % (there, back)
        lab.no_clear_gre()
    if way == "restart":
        figures = restarted(lab, hub, spoke, frr)
    return figures


def restarted(lab, hub, spoke, frr):
    """Power cut and boot: our side finds out by dead peer detection or INVALID-SPI and recovers alone."""
    hub.stop()
    again = lab.boot(hub.config, lab.internet, hub.tap)
    again.wait_ready()
    started = time.monotonic()
    registered(again, spoke, seconds=90)
    ping(spoke.namespace, "10.1.1.1", HUB_TUNNEL, 30)
    recovered = time.monotonic() - started
    # eigrpd on our side stays with its neighbour of before the restart (interop/README.md): it begins anew.
    frr.stop()
    frr.start("eigrp", "10.1.1.1/24", SPOKE_LOOPBACKS)
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
    eventually("an error indication in our trace", lambda: "rror" in spoke.text() and "uthentication" in spoke.text(), 25)
    check("dynamic" not in hub.show("show ip nhrp cache"), "the hub registered us")
    check(not answers(spoke), "our server is said to respond")
    lab.no_clear_gre()


for way, sets, limit in (("guide", (QUICK, CI, ALL), 90), ("clear", (CI, ALL), 90), ("nat", (CI, ALL), 90), ("mtu", (CI, ALL), 150),
                         ("restart", (ALL,), 240)):
    add("linux/hub/" + way, with_hub, way, sets=sets, limit=limit, needs=NEEDS)
add("linux/hub/wrong-authentication", wrong_authentication, sets=(CI, ALL), limit=60, needs=NEEDS)
