"""One daemon of ours and a charon for each of its tunnels, or several of both, around one Internet."""
import re
import signal
import time
from dataclasses import dataclass

from .cases import check
from .charon import Charon
from .esp_stream import EspStream
from .process import Process
from .router import Router


@dataclass
class Tunnel:
    """One of our tunnels and the charon at its other end. Addresses: `ours` and `theirs` outside, the other two inside."""

    router: Router
    charon: Charon
    gre: EspStream
    ours: str
    theirs: str
    our_tunnel: str
    their_tunnel: str
    we_initiate: bool

    @property
    def name(self) -> str:
        return self.charon.name

    def our_sas(self) -> tuple[list[dict], list[dict]]:
        """Our ISAKMP SAs with this peer, half-open ones included, and the entries of its IPsec SAs."""
        phase1 = [sa for sa in self.router.show("crypto isakmp sa detail") if sa["remote"] == self.theirs]
        phase2 = [entry for entry in self.router.show("crypto ipsec sa detail") if entry["remote"] == self.theirs]
        return phase1, phase2

    def one_of_each(self) -> bool:
        """One IKE_SA and one pair of IPsec SAs, the same ones at both ends; `Failed` says what is otherwise."""
        phase1, phase2 = self.our_sas()
        sas = self.charon.sas()
        inbound = [sa["spi"] for entry in phase2 for sa in entry["inbound"]]
        outbound = [sa["spi"] for entry in phase2 for sa in entry["outbound"]]
        children = [child for sa in sas for child in sa["children"]]
        ours = {"ike": [(sa["state"], sa["initiator_cookie"], sa["responder_cookie"]) for sa in phase1], "in": inbound, "out": outbound}
        theirs = {"ike": [(sa["state"], sa["initiator-spi"], sa["responder-spi"]) for sa in sas],
                  "in": [(child["state"], child["spi-in"]) for child in children], "out": [child["spi-out"] for child in children]}
        told = f"{self.name}: ours {ours}, charon's {theirs}"
        check(len(phase1) == len(inbound) == len(outbound) == len(sas) == len(children) == 1, told)
        check(phase1[0]["state"] == "QM_IDLE" and sas[0]["state"] == "ESTABLISHED" and children[0]["state"] == "INSTALLED", told)
        number = lambda text: int(text, 16)  # noqa: E731
        same = (number(inbound[0]) == number(children[0]["spi-out"]) and number(outbound[0]) == number(children[0]["spi-in"])
                and all(number(phase1[0][f"{role}_cookie"]) == number(sas[0][f"{role}-spi"]) for role in ("initiator", "responder")))
        check(same, told)
        return True


class Pings:
    """Echo requests from our side without end, the other direction of `EspStream`."""

    def __init__(self, tunnel: Tunnel, log, interval: float = 0.2):
        self._log = log / f"ping-{tunnel.name}.log"
        self._process = Process("ping", "-n", "-i", interval, tunnel.their_tunnel, log=self._log, netns=tunnel.router.namespace.name)

    def cease(self) -> tuple[int, int, int]:
        """As `EspStream.cease`."""
        time.sleep(2)
        self._process.end(signal.SIGINT)
        text = self._log.read_text()
        sent = int(re.search(r"(\d+) packets transmitted", text)[1])
        # The last ones sent may not have had their time.
        answered = sorted({int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", text)})
        # ping counts in 16 bits and goes on from 0; at five a second that takes hours.
        longest = max((after - before - 1 for before, after in zip([0, *answered], [*answered, sent + 1])), default=0)
        return sent, len(answered), longest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.end()
