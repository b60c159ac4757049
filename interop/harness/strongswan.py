"""Our daemon and charon on two sides of a router that may translate addresses; suites in both sides' terms."""
import contextlib
from dataclasses import dataclass

from .cases import Failed, check, eventually
from .charon import Charon, Peer
from .esp_peer import EspPeer
from .namespaces import Namespace, link
from .process import Process
from .router import Router

# The initiator is the spoke, the responder the hub.
SPOKE, HUB = "172.16.1.1", "172.16.10.1"
# Their addresses where a NAT is in front of them.
SPOKE_INSIDE, HUB_INSIDE = "192.168.7.1", "192.168.8.1"
TUNNEL_SPOKE, TUNNEL_HUB = "10.1.1.1", "10.1.1.254"


@dataclass(frozen=True)
class Suite:
    """`ike` and `esp` in swanctl's terms; the rest in IOS's."""

    ike: str
    esp: str
    encr: str
    hash: str
    group: int
    transform: str

    @property
    def dh(self) -> str:
        return self.ike.rsplit("-", 1)[1]


SUITES = {suite.ike: suite for suite in (
    Suite("3des-sha1-modp768", "3des-sha1", "3des", "sha", 1, "esp-3des esp-sha-hmac"),
    Suite("3des-md5-modp1024", "3des-md5", "3des", "md5", 2, "esp-3des esp-md5-hmac"),
    Suite("aes128-sha1-modp1024", "aes128-sha1", "aes", "sha", 2, "esp-aes esp-sha-hmac"),
    Suite("aes256-sha256-modp2048", "aes256-sha256", "aes 256", "sha256", 14, "esp-aes 256 esp-sha256-hmac"),
    Suite("aes128-sha256-modp3072", "aes128-sha256", "aes", "sha256", 15, "esp-aes esp-sha256-hmac"),
    Suite("aes256-sha384-ecp256", "aes256-sha384", "aes 256", "sha384", 19, "esp-aes 256 esp-sha384-hmac"),
)}
GUIDE = SUITES["3des-sha1-modp768"]


@dataclass
class Options:
    """What is unusual about a laboratory. `nat`: one in front of the initiator; `nat_hub`: one in front of the responder."""

    suite: Suite = GUIDE
    pfs: bool = False
    mode: str = "transport"
    we_initiate: bool = True
    nat: bool = False
    nat_hub: bool = False
    forced: bool = False
    lines: str = ""
    profile: str = ""
    key: str = "cisco123"

    @property
    def spoke(self) -> str:
        return SPOKE_INSIDE if self.nat else SPOKE

    @property
    def hub(self) -> str:
        return HUB_INSIDE if self.nat_hub else HUB


def configuration(options: Options) -> str:
    """Ours: the guide's spoke without NHRP, since charon speaks none, or its hub."""
    suite = options.suite
    ours = options.spoke if options.we_initiate else options.hub
    if options.we_initiate:
        tunnel = f" ip address {TUNNEL_SPOKE} 255.255.255.0\n tunnel destination {HUB}\n"
    else:
        tunnel = f" ip address {TUNNEL_HUB} 255.255.255.0\n ip nhrp network-id 1\n ip nhrp map multicast dynamic\n tunnel mode gre multipoint\n"
    pfs = f" set pfs group{suite.group}\n" if options.pfs else ""
    return (f"crypto isakmp policy 1\n encr {suite.encr}\n hash {suite.hash}\n authentication pre-share\n group {suite.group}\n"
            f"crypto isakmp key {options.key} address 0.0.0.0 0.0.0.0\n{options.lines}"
            f"crypto ipsec transform-set TSET {suite.transform}\n mode {options.mode}\n"
            f"crypto ipsec profile PROFILE\n set transform-set TSET\n{pfs}{options.profile}"
            f"interface Tunnel0\n{tunnel} ip mtu 1400\n tunnel source Ethernet0/0\n tunnel key 1\n tunnel protection ipsec profile PROFILE\n"
            f"interface Ethernet0/0\n ip address {ours} 255.255.255.0\n")


def peer(options: Options) -> Peer:
    """Theirs."""
    suite = options.suite
    esp = f"{suite.esp}-{suite.dh}" if options.pfs else suite.esp
    theirs = options.hub if options.we_initiate else options.spoke
    made = Peer(theirs, ike=suite.ike, esp=esp, mode=options.mode)
    if not options.we_initiate:
        made.remote, made.peer_id = HUB, options.hub
        if options.mode == "tunnel":
            made.remote_ts = f"{HUB}[gre]"
    elif options.mode == "tunnel":
        made.local_ts, made.remote_ts = f"{HUB}[gre]", "0.0.0.0/0[gre]"
    if options.forced and not options.we_initiate:
        made.connection["encap"] = "yes"
    return made


class Laboratory(contextlib.ExitStack):
    """The namespaces `spoke`, `internet` and `hub`; `router` and `charon` in two of them, started by the case.

    With `nat` the spoke is 192.168.7.1 behind the Internet's 172.16.1.1, and its ports change. With `nat_hub` the hub is 192.168.8.1 behind the
    Internet's 172.16.10.1, which forwards UDP 500 and 4500 to it and nothing else.
    """

    def __init__(self, bench, options: Options):
        super().__init__()
        self.bench, self.options = bench, options
        # Before anything is made, so that what was made goes also if the rest fails.
        bench.enter(self)
        self.spoke, self.internet, self.hub = (self.enter_context(Namespace(name)) for name in ("spoke", "internet", "hub"))
        for site, name, address in ((self.spoke, "to-spoke", options.spoke), (self.hub, "to-hub", options.hub)):
            link(site, "eth0", self.internet, name)
            gateway = address.rsplit(".", 1)[0] + ".254"
            site.ip("address", "add", f"{address}/24", "dev", "eth0")
            self.internet.ip("address", "add", f"{gateway}/24", "dev", name)
            site.ip("route", "add", "default", "via", gateway)
        self.internet.sysctl(net__ipv4__ip_forward=1)
        self._translate()
        ours, theirs = (self.spoke, self.hub) if options.we_initiate else (self.hub, self.spoke)
        forced = ("--force-encapsulation",) if options.forced and options.we_initiate else ()
        self.router = Router(ours, configuration(options), bench.logs, options=forced)
        self.charon = Charon(theirs, peer(options), bench.logs)
        self.our_tunnel, self.their_tunnel = (TUNNEL_SPOKE, TUNNEL_HUB) if options.we_initiate else (TUNNEL_HUB, TUNNEL_SPOKE)

    def _translate(self):
        outside, inside = [], []
        if self.options.nat:
            self.internet.ip("address", "add", f"{SPOKE}/32", "dev", "to-hub")
            outside += [f"ip saddr {SPOKE_INSIDE} oifname to-hub meta l4proto {{ tcp, udp }} snat to {SPOKE}:40000-50000 random",
                        f"ip saddr {SPOKE_INSIDE} oifname to-hub snat to {SPOKE}"]
        if self.options.nat_hub:
            self.internet.ip("address", "add", f"{HUB}/32", "dev", "to-spoke")
            outside.append(f"ip saddr {HUB_INSIDE} oifname to-spoke snat to {HUB}")
            inside.append(f"ip daddr {HUB} udp dport {{ 500, 4500 }} dnat to {HUB_INSIDE}")
        if outside:
            chain = lambda name, hook, rules: f"chain {name} {{\ntype nat hook {hook}\n" + "\n".join(rules) + "\n}\n"  # noqa: E731
            self.internet.nft("table ip nat {\n" + chain("outside", "postrouting priority 100;", outside)
                              + chain("inside", "prerouting priority -100;", inside) + "}\n")

    def change(self, peer: dict, child: dict):
        """Before the start: charon is configured otherwise."""
        for name, value in peer.items():
            setattr(self.charon.peer, name, value)
        self.charon.peer.child |= child
        for name in ("local_ts", "remote_ts"):
            if name in child:
                setattr(self.charon.peer, name, child[name])

    def start(self):
        """Both, and charon initiates where it is to."""
        self.start_both()
        if not self.options.we_initiate:
            self.charon.initiate()
        return self

    def start_both(self):
        """The one that answers first."""
        data_plane = EspPeer(self.charon, self.their_tunnel)
        order = (self.charon, data_plane, self.router) if self.options.we_initiate else (self.router, self.charon, data_plane)
        self.gre = data_plane
        for one in order:
            self.enter_context(one)

    def ping_beside(self, number: int) -> Process:
        """An echo request every 0.1 s."""
        return Process("ping", "-n", "-c", number, "-i", "0.1", "-W", "2", self.their_tunnel,
                       log=self.bench.logs / "ping.log", netns=self.router.namespace.name)

    @staticmethod
    def all_answered(ping: Process, number: int):
        """That ping ends without a loss."""
        found = ping.wait_line(r"(\d+) packets transmitted, (\d+) received", number * 0.1 + 5)
        check(found[1] == found[2] == str(number), f"of {found[1]} echo requests {found[2]} were answered")

    def up(self, seconds: float = 10):
        """The CHILD_SA is up at both ends."""
        eventually("an IKE_SA and a CHILD_SA at charon", self.charon.up, seconds)
        def same():
            ours, theirs = self.our_spis(), self.their_spis()
            check(ours and ours == theirs, f"ours are {ours}, charon's {theirs}")
            return True
        eventually("the same IPsec SAs at both ends", same, 3)

    def our_spis(self) -> set[tuple[str, int]]:
        """The SPIs of our IPsec SAs, each with its direction."""
        return {(direction, int(sa["spi"], 16)) for session in self.router.show("crypto ipsec sa detail")
                for direction in ("inbound", "outbound") for sa in session[direction]}

    def their_spis(self) -> set[tuple[str, int]]:
        """Those of charon, as our side should have them."""
        return {(ours, int(child[theirs], 16)) for child in self.charon.children()
                for ours, theirs in (("inbound", "spi-out"), ("outbound", "spi-in"))}

    def traffic(self, number: int = 3):
        """What each side sealed the other opened: echo requests both ways are answered."""
        if not self.options.we_initiate:
            self.gre.register(self.our_tunnel, self.options.spoke)
        self.gre.ping(self.our_tunnel, number)
        before = self.gre.seen.echo_requests
        self.router.namespace.run("ping", "-n", "-q", "-c", number, "-i", "0.2", "-W", "2", self.their_tunnel)
        check(self.gre.seen.echo_requests - before >= number, f"charon's side opened {self.gre.seen.echo_requests - before} of {number} echo requests")
        check(not self.gre.seen.refused, f"charon's side refused {self.gre.seen.refused}")

    def nothing_left(self, seconds: float = 5):
        """No security association at all on our side."""
        def gone():
            if left := self.our_spis() or self.router.show("crypto isakmp sa detail"):
                raise Failed(f"there still is {left}")
            return True
        eventually("nothing left on our side", gone, seconds)
