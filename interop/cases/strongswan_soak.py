"""Short lifetimes and losses for as long as one likes: five tunnels, each with a charon at its other end.

Our hub has three spokes that are charons, our spoke two hubs that are. Phase 1 lives 150 s, phase 2 90 s: our side re-keys both, and charon
phase 1 where it initiates; now and then it is told to re-key either. Each direction of each site loses 2 % of its packets. Echo requests
go both ways through each tunnel all the time. When the losses end there has to be one pair of SAs with each peer, and nothing else.
"""
import os
import random
import re
import statistics
import time

from harness.cases import ALL, Failed, add, check, eventually
from harness.charon import PACKAGES, Charon, Peer
from harness.esp_stream import EspStream
from harness.router import Router
from harness.star import Star
from harness.strongswan import GUIDE, HUB, SUITES, TUNNEL_HUB, Options, configuration
from harness.strongswan_many import Pings, Tunnel

AES = SUITES["aes256-sha256-modp2048"]
PHASE_1, PHASE_2 = 150, 90
PER_MILLE = 20
POLICY = f"crypto isakmp policy 1\n lifetime {PHASE_1}\ncrypto isakmp keepalive 20 3 periodic\n"
PROFILE = f" set security-association lifetime seconds {PHASE_2}\n"
SPOKE = "172.16.9.1"


def spoke_configuration(hubs: list[str]) -> str:
    """Our spoke with a point-to-point tunnel to each hub, in the terms of `configuration`."""
    text = configuration(Options(AES, pfs=True, lines=POLICY, profile=PROFILE))
    text = text[:text.index("interface Tunnel0")]
    for number, hub in enumerate(hubs):
        text += (f"interface Tunnel{number}\n ip address 10.2.{number}.1 255.255.255.0\n tunnel destination {hub}\n ip mtu 1400\n"
                 f" tunnel source Ethernet0/0\n tunnel key {number + 2}\n tunnel protection ipsec profile PROFILE\n")
    return text + f"interface Ethernet0/0\n ip address {SPOKE} 255.255.255.0\n"


def charon_peer(ours: str, theirs: str, suite, we_initiate: bool) -> Peer:
    """charon's own lifetimes come after ours where we renegotiate, and before where it does."""
    made = Peer(theirs, ike=suite.ike, esp=suite.esp + (f"-{suite.dh}" if suite is AES else ""))
    reauth = PHASE_1 + 30 if we_initiate else PHASE_1 - 50
    made.connection |= {"reauth_time": f"{reauth}s", "over_time": "30s", "rand_time": "20s", "unique": "replace", "dpd_delay": "20s", "dpd_timeout": "60s"}
    if not we_initiate:
        made.remote = made.peer_id = ours
    return made


class Soak:
    def __init__(self, bench):
        self.bench, self.star = bench, Star(bench)
        self.tunnels: list[Tunnel] = []
        self.random = random.Random(1)
        self.told = {"child": 0, "ike": 0, "refused": 0, "initiate": 0}
        self.samples: list[dict] = []
        self.without: dict[str, float] = {}
        hubs = ["172.16.20.1", "172.16.21.1"]
        self.hub = Router(self.star.site("hub", HUB), configuration(Options(we_initiate=False, lines=POLICY, profile=PROFILE)), bench.logs, "hub")
        self.spoke = Router(self.star.site("spoke", SPOKE), spoke_configuration(hubs), bench.logs, "spoke")
        for number, address in enumerate(hubs):
            self._tunnel(self.spoke, f"hub{number}", SPOKE, address, f"10.2.{number}.1", f"10.2.{number}.254", number + 2)
        for number in (1, 2, 3):
            self._tunnel(self.hub, f"spoke{number}", HUB, f"172.16.{number}.1", TUNNEL_HUB, f"10.1.1.{number}", 1)

    def _tunnel(self, router: Router, name: str, ours: str, theirs: str, our_tunnel: str, their_tunnel: str, key: int):
        we_initiate = router is self.spoke
        charon = Charon(self.star.site(name, theirs), charon_peer(ours, theirs, AES if we_initiate else GUIDE, we_initiate), self.bench.logs, name)
        # Where nobody re-keys it, the CHILD_SA ends.
        charon.spi_lifetime = PHASE_2 + 15
        gre = EspStream(charon, their_tunnel, our_tunnel, tunnel_key=key)
        self.tunnels.append(Tunnel(router, charon, gre, ours, theirs, our_tunnel, their_tunnel, we_initiate))

    @property
    def sites(self) -> list[str]:
        return [tunnel.name for tunnel in self.tunnels]

    def start(self):
        """All tunnels up, before there are losses."""
        for one in (self.hub, *(tunnel.charon for tunnel in self.tunnels), *(tunnel.gre for tunnel in self.tunnels), self.spoke):
            self.bench.enter(one)
        for tunnel in self.tunnels:
            if not tunnel.we_initiate:
                tunnel.charon.initiate()
        for tunnel in self.tunnels:
            eventually(f"one pair with {tunnel.name}", tunnel.one_of_each, 15)
            self.register(tunnel)
            tunnel.gre.ping(tunnel.our_tunnel, 1)

    @staticmethod
    def register(tunnel: Tunnel):
        if not tunnel.we_initiate:
            tunnel.gre.register_again(tunnel.our_tunnel, tunnel.theirs)

    def run(self, seconds: float):
        begin = now = time.monotonic()
        next_sample, next_registration, next_rekey = now, now + 120, now + 20
        while (now := time.monotonic()) - begin < seconds:
            if now >= next_sample:
                next_sample += 60
                self.sample(now - begin)
            if now >= next_registration:
                next_registration += 120
                for tunnel in self.tunnels:
                    self.register(tunnel)
            if now >= next_rekey:
                next_rekey += 15
                self.rekey(self.random.choice(self.tunnels), "ike" if self.random.random() < 0.2 else "child")
            for tunnel in self.tunnels:
                self.keep_up(tunnel, now)
            time.sleep(3)
        self.sample(seconds)

    def rekey(self, tunnel: Tunnel, what: str):
        """charon re-keys the newest it has; that it cannot just now, since one is being re-keyed, is no fault."""
        sas = [sa for sa in tunnel.charon.sas() if sa["state"] == "ESTABLISHED"]
        of = sas if what == "ike" else [child for sa in sas for child in sa["children"] if child["state"] == "INSTALLED"]
        if not of:
            return
        newest = max(of, key=lambda one: int(one["uniqueid"]))["uniqueid"]
        words = ("--ike-id", newest, "--reauth") if what == "ike" else ("--child-id", newest)
        try:
            tunnel.charon.swanctl("--rekey", *words)
            self.told[what] += 1
        except Failed:
            self.told["refused"] += 1

    def keep_up(self, tunnel: Tunnel, now: float):
        """What trap policies would do: a charon that initiates does so again when it has had nothing for ten seconds."""
        if tunnel.we_initiate or tunnel.charon.children():
            self.without.pop(tunnel.name, None)
        elif now - self.without.setdefault(tunnel.name, now) > 10:
            self.without.pop(tunnel.name)
            self.told["initiate"] += 1
            try:
                tunnel.charon.initiate(5)
            except Failed:
                pass

    def sample(self, at: float):
        """What our two processes use, and how many SAs there are at both ends."""
        sample = {"at": round(at)}
        for name, router in (("hub", self.hub), ("spoke", self.spoke)):
            counters = router.show("counters")
            sample |= {f"{name}_rss_kib": router.resident(), f"{name}_descriptors": router.descriptors(),
                       f"{name}_phase1": len(router.show("crypto isakmp sa detail")), f"{name}_timers": counters["tables"]["timers"],
                       f"{name}_pairs": sum(len(entry["inbound"]) for entry in router.show("crypto ipsec sa detail")),
                       f"{name}_failed": counters["isakmp"]["failed"], f"{name}_retransmitted": counters["isakmp"]["retransmitted"]}
        sas = [sa for tunnel in self.tunnels for sa in tunnel.charon.sas()]
        sample |= {"charon_ike": len(sas), "charon_children": sum(len(sa["children"]) for sa in sas), "told": dict(self.told)}
        self.samples.append(sample)
        with open(self.bench.logs / "samples", "a") as file:
            print(sample, file=file)

    def bounded(self):
        """Memory and descriptors do not grow: the last third of the time against the one before, once there is enough of it."""
        for name in ("hub", "spoke"):
            check(self.samples[-1][f"{name}_descriptors"] == self.samples[0][f"{name}_descriptors"], f"descriptors of our {name}: {self.samples[0]} {self.samples[-1]}")
            sizes = [sample[f"{name}_rss_kib"] for sample in self.samples]
            third = len(sizes) // 3
            if third >= 3:
                before, after = (statistics.median(sizes[-2 * third:-third]), statistics.median(sizes[-third:]))
                check(after - before <= 2048, f"our {name} grew from {before} to {after} KiB")

    def converge(self, seconds: float = 240) -> str:
        """Each peer has a moment with one pair of SAs and nothing else: the re-keyings go on, and each leaves two pairs for a while, but none for good."""
        begin, left = time.monotonic(), list(self.tunnels)
        taken: dict[str, str] = {}

        def one_less():
            tunnel = left[0]
            left.append(left.pop(0))
            tunnel.one_of_each()
            left.remove(tunnel)
            taken[tunnel.name] = f"{time.monotonic() - begin:.0f} s"
            return not left
        eventually("one pair of SAs with each peer", one_less, seconds, 0.5)
        return f"one pair with each peer after {taken}"


def rekeyings(charon: Charon) -> dict[str, int]:
    """Negotiations that charon saw, by who began them; what charon sends again it has not generated again."""
    counts = dict.fromkeys(("phase 1 by us", "phase 1 by charon", "phase 2 by us", "phase 2 by charon", "hard expiry", "peer lost"), 0)
    quick: dict[str, set[str]] = {"parsed": set(), "generating": set()}
    with open(charon.log, errors="replace") as log:
        for line in log:
            if found := re.search(r"(parsed|generating) QUICK_MODE request (\d+) \[ HASH SA", line):
                quick[found[1]].add(found[2])
            elif "is initiating a Main Mode" in line:
                counts["phase 1 by us"] += 1
            elif "initiating Main Mode IKE_SA" in line:
                counts["phase 1 by charon"] += 1
            elif "received a XFRM_MSG_EXPIRE" in line:
                counts["hard expiry"] += 1
            elif "giving up after" in line or "DPD check timed out" in line:
                counts["peer lost"] += 1
    return counts | {"phase 2 by us": len(quick["parsed"]), "phase 2 by charon": len(quick["generating"])}


def soak(bench, seconds: float):
    soak = Soak(bench)
    soak.start()
    soak.star.lose(PER_MILLE, soak.sites)
    pings = [bench.enter(Pings(tunnel, bench.logs)) for tunnel in soak.tunnels]
    for tunnel in soak.tunnels:
        tunnel.gre.flow()
    soak.run(seconds)
    soak.star.lose_nothing()
    lost = soak.star.lost()
    report = []
    for tunnel, ping in zip(soak.tunnels, pings):
        (there, there_back, there_run), (back, back_back, back_run) = ping.cease(), tunnel.gre.cease()
        missing, dropped = there - there_back + back - back_back, lost[f"{tunnel.name}_from_esp"] + lost[f"{tunnel.name}_to_esp"]
        report.append(f"{tunnel.name}: echo {there_back} of {there} and {back_back} of {back}, {missing - dropped} lost beyond the {dropped} of the underlay, "
                      f"longest run {there_run} and {back_run}, unsent {tunnel.gre.unsent}, refused {tunnel.gre.seen.refused}, "
                      + ", ".join(f"{what} {number}" for what, number in rekeyings(tunnel.charon).items()))
    report.append(f"told charon: {soak.told}; lost of IKE: {sum(number for name, number in lost.items() if name.endswith('other'))}; last sample {soak.samples[-1]}")
    (bench.logs / "report").write_text("\n".join(report) + "\n")
    report.append(soak.converge())
    for tunnel in soak.tunnels:
        soak.register(tunnel)
        tunnel.gre.seen.echo_replies.clear()
        tunnel.gre.ping(tunnel.our_tunnel, 10)
        tunnel.router.namespace.run("ping", "-n", "-q", "-c", "10", "-i", "0.2", "-W", "2", tunnel.their_tunnel)
    soak.sample(seconds)
    soak.bounded()
    return "\n     " + "\n     ".join(report)


MINUTES = float(os.environ.get("INTEROP_SOAK_MINUTES", "60"))
add("strongswan/soak/two-minutes", soak, 120, sets={ALL}, limit=480, needs=PACKAGES)
add("strongswan/soak/long", soak, MINUTES * 60, sets={"soak"}, limit=MINUTES * 60 + 600, needs=PACKAGES)
