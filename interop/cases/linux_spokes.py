"""Our daemon as hub, Linux routers as spokes."""
import re
import time

from harness.cases import ALL, CI, QUICK, add, eventually
from harness.linux_lab import HUB_TUNNEL, LinuxLab, linux_ping, ping, spoke_config, spoke_loopbacks
from harness.linux_router_config import HUB_LOOPBACKS

NEEDS = ("iputils-ping",)


def registered(hub, spoke, seconds=30):
    """The spoke says that its server answered, and our cache has its link."""
    address = spoke.config.tunnel_address
    eventually("%s registers at our hub" % address, lambda: address in hub.command("show", "ip", "nhrp"), seconds, 0.2)
    eventually("%s knows its server" % address, lambda: re.search(r"nhs +%s" % re.escape(HUB_TUNNEL), spoke.show("show ip nhrp cache")), 15, 0.1)


def routed(lab, hub, spokes, protocol):
    frr = lab.frr(hub, protocol, HUB_TUNNEL + "/24", HUB_LOOPBACKS)
    for spoke in spokes:
        address = spoke.config.tunnel_address
        eventually("%s neighbour %s at our end" % (protocol, address), lambda: address in frr.show("show ip %s neighbor" % protocol), 40, 0.5)
        eventually("the hub's loopbacks at %s" % address, lambda: all(l + " " in spoke.run("ip route") for l in HUB_LOOPBACKS), 40, 0.2)
        linux_ping(spoke, spoke.config.loopbacks[0], HUB_LOOPBACKS[0])
    return frr


def through_the_hub(one, other):
    """Loopback to loopback. eigrpd's split horizon has no knob, so the hub tells neither spoke of the other's networks: by hand."""
    for here, there in ((one, other), (other, one)):
        here.run("ip route replace %s via %s dev gre1 onlink" % (there.config.loopbacks[0], HUB_TUNNEL))
    linux_ping(one, one.config.loopbacks[0], other.config.loopbacks[0])


def told(one, other):
    """Loopback to loopback by what OSPF says alone: the hub passes each spoke's networks on."""
    for here, there in ((one, other), (other, one)):
        address = there.config.loopbacks[0]
        eventually("%s at %s by OSPF" % (address, here.config.tunnel_address),
                   lambda: re.search(r"^%s .*proto ospf" % re.escape(address), here.run("ip route"), re.M), 40, 0.2)
    linux_ping(one, one.config.loopbacks[0], other.config.loopbacks[0])
    linux_ping(other, other.config.loopbacks[0], one.config.loopbacks[0])


def two_spokes(bench, protocol):
    lab = LinuxLab(bench)
    hub = lab.our_hub()
    spokes = [lab.linux_spoke(n, routing=protocol) for n in (1, 2)]
    for spoke in spokes:
        spoke.wait_ready()
    for spoke in spokes:
        registered(hub, spoke)
    routed(lab, hub, spokes, protocol)
    if protocol == "ospf":
        told(*spokes)
    else:
        through_the_hub(*spokes)
    lab.no_clear_gre()


def third_is_ours(bench):
    lab = LinuxLab(bench)
    hub = lab.our_hub()
    spokes = [lab.linux_spoke(n) for n in (1, 2)]
    for spoke in spokes:
        spoke.wait_ready()
    third = lab.our_spoke(3)
    for spoke in spokes:
        registered(hub, spoke)
    routed(lab, hub, spokes, "eigrp")
    frr = lab.frr(third, "eigrp", "10.1.1.3/24", spoke_loopbacks(3))
    eventually("our spoke's EIGRP neighbour", lambda: HUB_TUNNEL in frr.show("show ip eigrp neighbor"), 40, 0.5)
    eventually("the hub's loopbacks at our spoke", lambda: all(l + " " in third.namespace.ip("route") for l in HUB_LOOPBACKS), 40, 0.2)
    # Phase 2 resolution between FRR on a /24 and us is not the question here; through the hub it must work.
    for spoke in spokes:
        third.namespace.ip("route", "replace", spoke.config.loopbacks[0], "via", HUB_TUNNEL, "dev", "Tunnel0", "onlink")
        spoke.run("ip route replace %s via %s dev gre1 onlink" % (spoke_loopbacks(3)[0], HUB_TUNNEL))
        ping(third.namespace, spoke_loopbacks(3)[0], spoke.config.loopbacks[0])
    lab.no_clear_gre()


def behind_one_address(bench):
    """Transport mode to one address for both: the hub must tell the two apart by SPI and port, in both directions, at once."""
    lab = LinuxLab(bench)
    box = lab.nat()
    hub = lab.our_hub()
    spokes = [lab.linux_spoke(n, behind=box) for n in (1, 2)]
    for spoke in spokes:
        spoke.wait_ready()
    for spoke in spokes:
        registered(hub, spoke)
    routed(lab, hub, spokes, "eigrp")
    for _ in range(3):
        for spoke in spokes:
            linux_ping(spoke, spoke.config.loopbacks[0], HUB_LOOPBACKS[0], 1)
    # From the hub's side too: each reply comes from the spoke that was meant.
    for spoke in spokes:
        ping(hub.namespace, HUB_LOOPBACKS[0], spoke.config.loopbacks[0], 3)
    through_the_hub(*spokes)
    lab.no_clear_gre()


def moved(bench):
    """A power cut, and the spoke is back at another NBMA address with the same tunnel address."""
    lab = LinuxLab(bench)
    hub = lab.our_hub()
    spoke = lab.linux_spoke(1, unique=False)
    spoke.wait_ready()
    registered(hub, spoke)
    routed(lab, hub, [spoke], "eigrp")
    spoke.stop()
    config = spoke_config(1, nbma="172.16.1.77/24", unique=False)
    again = lab.boot(config, lab.internet, spoke.tap)
    again.wait_ready()
    started = time.monotonic()
    eventually("our cache follows", lambda: "172.16.1.77" in hub.command("show", "ip", "nhrp"), 240, 0.5)
    linux_ping(again, config.loopbacks[0], HUB_LOOPBACKS[0], 60)
    lab.no_clear_gre()
    return "recovered %.0f s after the spoke was back" % (time.monotonic() - started)


for protocol, sets in (("eigrp", (QUICK, CI, ALL)), ("ospf", (ALL,))):
    add("linux/spokes/" + protocol, two_spokes, protocol, sets=sets, limit=150, needs=NEEDS)
add("linux/spokes/third-is-ours", third_is_ours, sets=(ALL,), limit=180, needs=NEEDS)
add("linux/spokes/behind-one-address", behind_one_address, sets=(CI, ALL), limit=150, needs=NEEDS)
add("linux/spokes/moved", moved, sets=(ALL,), limit=360, needs=NEEDS)
