"""A Linux router as hub, our daemon as its spoke."""
import time

from harness.cases import ALL, CI, QUICK, add, check, eventually
from harness.linux_lab import HUB, HUB_TUNNEL, LinuxLab, ping, transfer
from harness.linux_router_config import HUB_LOOPBACKS, SPOKE_LOOPBACKS

NEEDS = ("iputils-ping", "tshark")
TUNNEL, NBMA, OUTSIDE = "10.1.1.1", "172.16.1.1", "192.0.2.2"

# The guide's two NHRP packets; behind a NAT the reply has an entry more, of 20 octets.
REQUEST, REPLY, REPLY_THROUGH_NAT = 108, 128, 148
# As IPv4 packets: with GRE and its key; in 3DES and SHA-1 (IV, filled up to 8 octets, 12 octets of ICV), as a recording of two Linux
# routers has them, too; the same in UDP.
IN_GRE, IN_ESP, IN_UDP = {REQUEST: 136, REPLY: 156}, {REQUEST: 168, REPLY: 192}, {REQUEST: 176, REPLY_THROUGH_NAT: 216}
# The guide's fields of the request, all but the identifier and the checksum. FRR repeats them in its reply.
FIXED = {"address_family": 1, "protocol_type": 0x0800, "snap": "0000000000", "version": 1, "extoff": 52, "src_nbma_type_length": 4,
         "src_subaddress_type_length": 0, "checksum_ok": True}
UNIQUE_NAT = 0x8002
MANDATORY = {"flags": UNIQUE_NAT, "src_nbma": NBMA, "src_protocol": TUNNEL, "dst_protocol": HUB_TUNNEL,
             "cies": [{"code": 0, "prefix": 32, "unused": 0, "mtu": 17912, "holding_time": 7200, "nbma": None, "protocol": None, "preference": 0}]}
AUTHENTICATION = {"type": 7, "compulsory": True, "length": 12, "reserved": 0, "auth_type": 1, "auth_data": "NHRPAUTH"}


def registered(hub, spoke, outside=None, seconds=30):
    """`show ip nhrp cache` there and `show ip nhrp nhs` here agree, field by field. `outside`: where a NAT lets the hub see us."""
    def agreed():
        cache = {entry["protocol"]: entry for entry in hub.show_json("show ip nhrp cache json")["table"]}
        check(TUNNEL in cache, "the hub's cache has %s" % list(cache.values()))
        theirs, itself = cache[TUNNEL], cache[HUB_TUNNEL]
        [ours] = spoke.show("ip nhrp nhs")
        [tunnel] = spoke.show("dmvpn")
        # Its T flag, `timeout`: the holding time runs.
        fields = [("what it is", (theirs["type"], theirs["timeout"]), ("dynamic", True)),
                  ("our state", ours["state"], "responding"),
                  ("our protocol address", theirs["protocol"], tunnel["address"]),
                  ("our NBMA address", theirs["nbma"], ours["outside_nbma"] or tunnel["source"]),
                  ("our claimed NBMA address", theirs["claimed_nbma"], tunnel["source"]),
                  ("our address outside", ours["outside_nbma"], outside),
                  ("the server's protocol address", itself["protocol"], ours["address"]),
                  ("the server's NBMA address", itself["nbma"], ours["nbma"])]
        for what, one, other in fields:
            check(one == other, "%s: %s and %s" % (what, one, other))
        return True
    eventually("both ends agree on the registration", agreed, seconds, 0.1)


def registration(lab, spoke, way):
    """The guide's two packets on the wire, as tshark reads them with our keys, and in our own trace."""
    reply_size = REPLY_THROUGH_NAT if way == "nat" else REPLY
    octets = {"clear": IN_GRE, "nat": IN_UDP}.get(way, IN_ESP)
    packets = []
    for frame in lab.links["u-spoke1"].decrypted(spoke.keys):
        if "nhrp" in frame["layers"]:
            check(frame["layers"] == (["gre", "nhrp"] if way == "clear" else ["esp", "gre", "nhrp"]), "NHRP in %s" % frame["layers"])
            check(all(esp["icv_ok"] for esp in frame.get("esp", [])), "an ICV is wrong")
            [nhrp] = frame["nhrp"]
            check(frame["ip"][0]["length"] == octets.get(nhrp["pktsz"]),
                  "%d octets of NHRP in %d" % (nhrp["pktsz"], frame["ip"][0]["length"]))
            packets.append(nhrp)
    requests, replies = ([nhrp for nhrp in packets if nhrp["type"] == kind] for kind in (3, 4))
    check(requests and replies and len(requests) + len(replies) == len(packets), "other packets than registrations: %s" % packets)
    server = {"code": 0, "prefix": 32, "unused": 0, "mtu": 17912, "holding_time": 0, "nbma": HUB, "protocol": HUB_TUNNEL, "preference": 0}
    asked = {extension["type"]: extension for extension in requests[0]["extensions"]}
    for request in requests:
        differs(request, {**FIXED, **MANDATORY, "hop": 255, "pktsz": REQUEST, "type": 3})
        check([extension["type"] for extension in request["extensions"]] == [3, 4, 5, 7, 9, 0], "the order of the extensions")
        check(asked[7] == AUTHENTICATION and asked[9]["cies"] == [server] and not asked[9]["compulsory"], asked)
        check(all(asked[kind]["length"] == 0 and asked[kind]["compulsory"] for kind in (0, 3, 4, 5)), asked)
    for reply in replies:
        differs(reply, {**FIXED, **MANDATORY, "pktsz": reply_size, "type": 4})
        check(reply["request_id"] in [request["request_id"] for request in requests], "the reply answers nothing")
        answered = {extension["type"]: extension for extension in reply["extensions"]}
        check(answered[7] == AUTHENTICATION, answered[7])
        check([(cie["nbma"], cie["protocol"]) for cie in answered[3]["cies"]] == [(HUB, HUB_TUNNEL)], answered[3])
        # What we said of the server, and behind a NAT what the server says of us.
        entries = [(cie["nbma"], cie["protocol"]) for cie in answered[9]["cies"]]
        check(entries == [(HUB, HUB_TUNNEL)] + [(OUTSIDE, TUNNEL)] * (way == "nat"), "the NAT extension of the reply has %s" % entries)
    spoke.wait_line(r"^NHRP: Send Registration Request via Tunnel0 vrf 0, packet size: %d$" % REQUEST, 1)
    spoke.wait_line(r"^NHRP: Receive Registration Reply via Tunnel0 vrf 0, packet size: %d$" % reply_size, 1)
    if way == "nat":
        spoke.wait_line(r"^NHRP: NAT detected: our packets arrive from NBMA %s$" % OUTSIDE, 1)


def differs(read, expected):
    wrong = {name: (read[name], value) for name, value in expected.items() if read[name] != value}
    check(not wrong, "read and expected: %s" % wrong)


def routed(frr, hub, spoke):
    """EIGRP adjacency at both ends, and the guide's loopbacks learned by either."""
    eventually("EIGRP neighbour at our end", lambda: HUB_TUNNEL in frr.show("show ip eigrp neighbor"), 40, 0.5)
    eventually("EIGRP neighbour at the hub", lambda: TUNNEL + " " in hub.show("show ip eigrp neighbor"), 15, 0.1)
    for router, addresses in ((spoke, HUB_LOOPBACKS), (hub, SPOKE_LOOPBACKS)):
        eventually("%s learned by EIGRP" % addresses, lambda: learned(router, addresses), 40, 0.2)


def learned(router, addresses):
    routes = [line.split() for line in router.run("ip route").splitlines()]
    return set(addresses) <= {words[0] for words in routes if "eigrp" in words}


def with_hub(bench, way):
    protected = way != "clear"
    lab = LinuxLab(bench, protected)
    psk = {} if protected else {"psk": None}
    hub = lab.linux_hub(**psk)
    behind = {"nat": lab.nat, "mtu": lambda: lab.narrow(1300, "172.16.1.0/24")}.get(way, lambda: None)()
    hub.wait_ready()
    spoke = lab.our_spoke(behind=behind, **psk)
    registered(hub, spoke, OUTSIDE if way == "nat" else None)
    registration(lab, spoke, way)
    frr = lab.frr(spoke, "eigrp")
    routed(frr, hub, spoke)
    ping(spoke, SPOKE_LOOPBACKS[0], HUB_LOOPBACKS[0])
    if protected:
        check("INSTALLED, TRANSPORT" in hub.run("swanctl --list-sas"), "no CHILD_SA at the hub")
        check(("espinudp" in hub.run("ip xfrm state")) == (way == "nat"), "UDP encapsulation")
    if way == "mtu":
        return "10 MiB to the hub's side in %.1f s, back in %.1f s" % transfer(spoke, hub, 10 << 20)
    if way == "restart":
        return restarted(lab, hub, spoke, frr)


def restarted(lab, hub, spoke, frr):
    """Power cut and boot: our side finds out by dead peer detection, and everything recovers alone."""
    hub.stop()
    again = lab.boot(hub.config, lab.internet, hub.tap)
    again.wait_ready()
    started = time.monotonic()
    registered(again, spoke, seconds=120)
    # The hub knows nothing but what it was told since.
    routed(frr, again, spoke)
    ping(spoke, SPOKE_LOOPBACKS[0], HUB_LOOPBACKS[0])
    return "recovered %.0f s after the hub was back" % (time.monotonic() - started)


def wrong_authentication(bench):
    """The hub's error indication quotes only the header and the mandatory part; ours says what it means, and nothing else happens."""
    lab = LinuxLab(bench)
    hub = lab.linux_hub(routing=None)
    hub.wait_ready()
    spoke = lab.our_spoke(authentication="WRONG")
    error = {"event": "error_reported", "tunnel": "Tunnel0", "nbma": HUB, "code": 11}

    def events():
        return [{name: value for name, value in event.items() if name != "ago"} for event in spoke.show("events")]

    # Two: the request is repeated, as if nothing had come.
    eventually("our side reports the error", lambda: events().count(error) >= 2, 30)
    spoke.wait_line(r"^NHRP: Receive Error Indication via Tunnel0 vrf 0, packet size: 80\n", 1)
    spoke.wait_line(r"^ \(M\) error code: authentication failure\(11\)", 1)
    spoke.wait_line(r"^NHRP: Error Indication from peer: authentication failure\(11\)", 1)
    others = [event for event in events() if event != error]
    # The configured mapping is the one in the cache.
    check({event["event"]: event.get("target") for event in others}
          == {"interface_up": None, "peer_up": None, "cache_added": HUB_TUNNEL + "/32"} and len(others) == 3, "other events: %s" % others)
    sent = [nhrp for frame in lab.links["u-spoke1"].decrypted(spoke.keys) for nhrp in frame.get("nhrp", [])]
    check({(nhrp["type"], nhrp["pktsz"], nhrp.get("error_code")) for nhrp in sent} == {(3, 105, None), (7, 80, 11)}, "on the wire: %s" % sent)
    check({entry["type"] for entry in hub.show_json("show ip nhrp cache json")["table"]} == {"local"}, "the hub registered us")
    [server] = spoke.show("ip nhrp nhs")
    check((server["state"], server["outside_nbma"]) == ("expecting", None), server)
    check([entry["type"] for entry in spoke.show("ip nhrp")] == ["static"], "our cache has more than what is configured")


for way, sets, limit in (("guide", (QUICK, CI, ALL), 120), ("clear", (CI, ALL), 120), ("nat", (CI, ALL), 120), ("mtu", (CI, ALL), 180),
                         ("restart", (CI, ALL), 300)):
    add("linux/hub/" + way, with_hub, way, sets=sets, limit=limit, needs=NEEDS)
add("linux/hub/wrong-authentication", wrong_authentication, sets=(CI, ALL), limit=90, needs=NEEDS)
