"""Two hundred tunnels at once between one daemon of ours and one charon with as many addresses."""
from dataclasses import dataclass

from harness.cases import ALL, CI, add, check, eventually
from harness.charon import PACKAGES, Charon, Peer
from harness.esp_peer import EspPeer, Pair
from harness.router import Router
from harness.star import Star
from harness.strongswan import GUIDE, HUB, SPOKE, TUNNEL_HUB, Options, configuration

NUMBER = 200


def theirs(number: int) -> str:
    return f"172.16.2.{number}"


@dataclass
class Peers(Peer):
    """charon as 200 spokes: a connection for each address, all of them begun when they are loaded."""

    def text(self) -> str:
        whole = super().text()
        start, end = whole.index("peer {"), whole.index("secrets {")
        one = whole[start:end].strip().removesuffix("}").strip()
        every = [one.replace("peer {", f"peer{number} {{", 1).replace("gre {", f"gre{number} {{", 1).replace(self.local, theirs(number))
                 for number in range(1, NUMBER + 1)]
        return "connections {\n" + "\n".join(every) + "\n}\n" + whole[end:]


class EspPeers(EspPeer):
    """Behind each of charon's addresses one at a time: `be` says which."""

    def __init__(self, charon: Charon, each_its_key: bool):
        super().__init__(charon, "")
        self._each_its_key = each_its_key

    def be(self, number: int, address: str):
        self._local, self._address = theirs(number), address
        self.seen.echo_replies.clear()
        self.seen.nhrp.clear()
        self._key = number if self._each_its_key else 1

    def _to_send_with(self) -> Pair:
        return next(pair for pair in self._log.pairs.values() if pair.local.split("[")[0] == self._local)

    def _child(self, pair: Pair) -> dict:
        return {"encap": "no"}


def spoke_configuration() -> str:
    """Ours with a point-to-point tunnel to each of them."""
    text = configuration(Options())
    text = text[:text.index("interface Tunnel0")]
    for number in range(1, NUMBER + 1):
        text += (f"interface Tunnel{number}\n ip address 10.2.{number}.1 255.255.255.0\n tunnel destination {theirs(number)}\n ip mtu 1400\n"
                 f" tunnel source Ethernet0/0\n tunnel key {number}\n tunnel protection ipsec profile PROFILE\n")
    return text + f"interface Ethernet0/0\n ip address {SPOKE} 255.255.255.0\n"


def many(bench, we_initiate: bool):
    star = Star(bench)
    ours = SPOKE if we_initiate else HUB
    site = star.site("charon", *(theirs(number) for number in range(1, NUMBER + 1)))
    options = Options(we_initiate=we_initiate)
    router = Router(star.site("ours", ours), spoke_configuration() if we_initiate else configuration(options), bench.logs)
    if we_initiate:
        charon = Charon(site, Peer("%any", ike=GUIDE.ike, esp=GUIDE.esp, id="%any"), bench.logs)
    else:
        charon = Charon(site, Peers(theirs(0), HUB, peer_id=HUB, child={"start_action": "start"}), bench.logs)
    gre = EspPeers(charon, we_initiate)
    for one in (charon, gre, router) if we_initiate else (router, charon, gre):
        bench.enter(one)

    def spis() -> tuple[set, set]:
        entries = router.show("crypto ipsec sa detail")
        mine = {(entry["remote"], int(inbound["spi"], 16), int(outbound["spi"], 16))
                for entry in entries for inbound, outbound in zip(entry["inbound"], entry["outbound"], strict=True)}
        other = {(sa["local-host"], int(child["spi-out"], 16), int(child["spi-in"], 16)) for sa in charon.sas() for child in sa["children"]}
        return mine, other

    def all_up():
        mine, other = spis()
        check(len(mine) == len(other) == NUMBER and mine == other, f"we have {len(mine)} pairs, charon {len(other)}, {len(mine & other)} of them the same")
        check({address for address, _, _ in mine} == {theirs(number) for number in range(1, NUMBER + 1)}, "not one for each address")
        return True
    eventually(f"{NUMBER} pairs, the same at both ends", all_up, 60, 0.5)
    check(len(charon.sas()) == len(router.show("crypto isakmp sa detail")) == NUMBER, f"other than {NUMBER} IKE_SAs")
    for number in range(1, NUMBER + 1):
        inside, our_tunnel = (f"10.2.{number}.254", f"10.2.{number}.1") if we_initiate else (f"10.1.1.{number}", TUNNEL_HUB)
        gre.be(number, inside)
        if not we_initiate:
            gre.register(our_tunnel, theirs(number))
        gre.ping(our_tunnel, 1)
        before = gre.seen.echo_requests
        router.namespace.run("ping", "-n", "-q", "-c", "1", "-W", "2", inside)
        check(gre.seen.echo_requests == before + 1, f"charon's side did not open our echo request to {inside}")
    check(not gre.seen.refused, f"charon's side refused {gre.seen.refused}")
    if not we_initiate:
        registered = {entry["nbma"] for entry in router.show("ip nhrp")}
        check(registered == {theirs(number) for number in range(1, NUMBER + 1)}, f"{len(registered)} are registered")
    memory = router.resident()
    # One after the other: charon has one socket of 208 KiB for what 200 peers of ours would have one each for, and deletes that it
    # does not hold are lost. A tunnel that is cleared comes back by itself; one that is shut down does not.
    for number in range(1, NUMBER + 1):
        router.command(*(("shutdown", f"Tunnel{number}") if we_initiate else ("clear", "crypto", "session", "remote", theirs(number))))

    def nothing():
        mine, other = spis()
        left = len(charon.sas()), len(router.show("crypto isakmp sa detail"))
        check(not mine and not other and left == (0, 0), f"still {len(mine)} pairs here, {len(other)} there, IKE_SAs there and here {left}")
        return True
    eventually("nothing left at either end", nothing, 20, 0.5)
    return f"{memory} KiB with {NUMBER} tunnels"


for we in (True, False):
    add(f"strongswan/many/{NUMBER}/{'initiator' if we else 'responder'}", many, we, sets=(ALL,) if we else (CI, ALL), limit=180, needs=PACKAGES)
