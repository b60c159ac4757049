"""Our daemon as hub, Linux routers as spokes."""
import time

from harness.cases import ALL, CI, QUICK, add, check, eventually
from harness.linux_lab import HUB, HUB_TUNNEL, LinuxLab, ping, spoke_config
from harness.linux_router_config import HUB_LOOPBACKS

NEEDS = ("iputils-ping", "tshark")
OUTSIDE = "192.0.2.2"
# eigrpd has split horizon without a knob, and no summaries: by this network of the hub's own its spokes send each other's
# traffic to it, as they would by `ip summary-address eigrp`.
SUMMARY = "209.165.201.254/24"


def registered(hub, spoke, outside=None, seconds=60):
    """`show ip nhrp cache` there and `show ip nhrp` here agree, field by field. `outside`: the NAT's address that the spoke is behind."""
    address = spoke.config.tunnel_address

    def agreed():
        cache = {entry["target"]: entry for entry in hub.show("ip nhrp")}
        check(address + "/32" in cache, "our cache has %s" % list(cache))
        ours = cache[address + "/32"]
        theirs = {entry["protocol"]: entry for entry in spoke.show_json("show ip nhrp cache json")["table"]}
        check(HUB_TUNNEL in theirs, "the spoke's cache has %s" % list(theirs))
        itself, server = theirs[address], theirs[HUB_TUNNEL]
        fields = [("what it is", ours["type"], "dynamic"),
                  ("its flags", ours["flags"], {"unique": spoke.config.unique, "registered": True, "local": False, "nat": outside is not None}),
                  ("its protocol address", ours["next_hop"], itself["protocol"]),
                  ("its NBMA address", ours["nbma"], itself["nbma"]),
                  ("its claimed NBMA address", ours["claimed_nbma"] or ours["nbma"], itself["claimed_nbma"]),
                  ("its address outside", itself["nbma"], outside or spoke.config.nbma_address),
                  ("its server", (server["type"], server["nbma"]), ("nhs", HUB))]
        for what, one, other in fields:
            check(one == other, "%s: %s and %s" % (what, one, other))
        return True
    eventually("both ends agree that %s is registered" % address, agreed, seconds, 0.1)


def routed(frr, spoke, protocol):
    """An adjacency, the hub's networks at the spoke, and packets on them."""
    address = spoke.config.tunnel_address
    eventually("%s neighbour %s at our end" % (protocol, address), lambda: address in frr.show("show ip %s neighbor" % protocol), 60, 0.5)
    for loopback in HUB_LOOPBACKS:
        eventually("%s at %s" % (loopback, address), lambda: to_hub(spoke, loopback, protocol), 60, 0.2)
    ping(spoke, spoke.config.loopbacks[0], HUB_LOOPBACKS[0])


def to_hub(router, target, protocol):
    """The route that a router has to an address is the protocol's, to the hub."""
    words = router.run("ip route get fibmatch %s" % target, check=False).split()
    return {"via", HUB_TUNNEL, "proto", protocol} <= set(words)


def places(frames, source, target):
    """From where to where, as addresses and UDP ports, the packets of that source and target went on a link."""
    found = set()
    for frame in frames:
        outer, *inner = frame["ip"]
        if [(packet["source"], packet["destination"]) for packet in inner] == [(source, target)]:
            ports = frame["udp"][0] if outer["protocol"] == 17 else {"source_port": None, "destination_port": None}
            found.add(((outer["source"], ports["source_port"]), (outer["destination"], ports["destination_port"])))
    return found


def through_the_hub(lab, hub, spokes, protocol):
    """Loopback to loopback, by what the routing protocol says alone; each packet goes in at the hub from the one and out again to the other."""
    pairs = [(here, there) for here in spokes for there in spokes if here is not there]
    loopback = {spoke: spoke.config.loopbacks[0] for spoke in spokes}
    for here, there in pairs:
        eventually("%s at %s by %s" % (loopback[there], here.config.tunnel_address, protocol), lambda: to_hub(here, loopback[there], protocol), 60, 0.2)
        ping(here, loopback[here], loopback[there])
    frames = lab.links["u-hub"].decrypted(hub.keys)
    where = {}
    for spoke in spokes:
        [(where[spoke], at_the_hub)] = places(frames, loopback[spoke], HUB_LOOPBACKS[0])
        check(at_the_hub[0] == HUB, "%s sends to %s" % (loopback[spoke], at_the_hub))
    check(len(set(where.values())) == len(spokes), "spokes in the same place: %s" % list(where.values()))
    for here, there in pairs:
        went = places(frames, loopback[here], loopback[there])
        check(went == {(where[here], at_the_hub), (at_the_hub, where[there])}, "%s to %s went %s" % (loopback[here], loopback[there], went))


def cloud(bench, protocol, third_is_ours=False, nat=False):
    """With `nat` in transport mode to one address for all: the hub must tell them apart by SPI and port."""
    lab = LinuxLab(bench)
    box = lab.nat() if nat else None
    hub = lab.our_hub(loopbacks=HUB_LOOPBACKS + [SUMMARY] * (protocol == "eigrp"))
    spokes = [lab.linux_spoke(n, behind=box, routing=protocol) for n in (1, 2)]
    for spoke in spokes:
        spoke.wait_ready()
    for spoke in spokes:
        registered(hub, spoke, OUTSIDE if nat else None)
    frr = lab.frr(hub, protocol)
    if third_is_ours:
        third = lab.our_spoke(3)
        eventually("our spoke is registered", lambda: [nhs["state"] for nhs in third.show("ip nhrp nhs")] == ["responding"], 30, 0.1)
        lab.frr(third, protocol)
        spokes.append(third)
    for spoke in spokes:
        routed(frr, spoke, protocol)
    # From the hub's side too: each reply comes from the spoke that was meant.
    for spoke in spokes:
        ping(hub, HUB_LOOPBACKS[0], spoke.config.loopbacks[0])
    through_the_hub(lab, hub, spokes, protocol)


def moved(bench):
    """A power cut, and the spoke is back at another NBMA address with the same tunnel address."""
    lab = LinuxLab(bench)
    hub = lab.our_hub()
    spoke = lab.linux_spoke(1, unique=False)
    spoke.wait_ready()
    registered(hub, spoke)
    routed(lab.frr(hub, "eigrp"), spoke, "eigrp")
    spoke.stop()
    config = spoke_config(1, nbma="172.16.1.77/24", unique=False)
    again = lab.boot(config, lab.internet, spoke.tap)
    again.wait_ready()
    started = time.monotonic()
    registered(hub, again, seconds=240)
    ping(again, config.loopbacks[0], HUB_LOOPBACKS[0], 60)
    return "recovered %.0f s after the spoke was back" % (time.monotonic() - started)


add("linux/spokes/eigrp", cloud, "eigrp", sets=(QUICK, CI, ALL), limit=180, needs=NEEDS)
add("linux/spokes/ospf", cloud, "ospf", sets=(CI, ALL), limit=240, needs=NEEDS)
add("linux/spokes/third-is-ours", cloud, "eigrp", True, sets=(CI, ALL), limit=240, needs=NEEDS)
add("linux/spokes/behind-one-address", cloud, "eigrp", False, True, sets=(CI, ALL), limit=240, needs=NEEDS)
add("linux/spokes/moved", moved, sets=(ALL,), limit=360, needs=NEEDS)
