"""The data plane beside a charon without one: opens and seals ESP with the keys of charon's log, and is a GRE router behind it.

It answers echo requests in the tunnel, and can register with a next hop server and send echo requests itself.
"""
import contextlib
import re
import select
import socket
import struct
import threading
from dataclasses import dataclass, field

from .cases import Failed, eventually
from .charon import Charon
from .esp import CIPHERS, MACS, Keys, Refused

GRE, IPIP, ESP, UDP = 47, 4, 50, 17
IP_IN_GRE, NHRP_IN_GRE = 0x0800, 0x2001
NAT_T = 4500

LINE = re.compile(r"^\d+\[(\w+)\](?: <([^>]*)>)? (.*)$")
DATE = re.compile(r"^\S+ \S+ +(?=\d+\[)|^\w{3} +\d+ [\d:]+ (?=\d+\[)")
HEXADECIMAL = re.compile(r"^\s+\d+: ((?:[0-9A-F]{2} ?)+)")


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination))
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def echo(kind: int, rest: bytes) -> bytes:
    message = struct.pack(">BBH", kind, 0, 0) + rest
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


@dataclass
class Pair:
    """A CHILD_SA. `outbound`: which side of quick mode charon was, `i` or `r`; with that side's keys it seals, with the other's it opens."""

    spi_in: int
    spi_out: int
    local: str
    remote: str
    keys: dict[str, Keys]
    outbound: str
    sequence: int = 0
    child: dict = field(default_factory=dict)

    def open(self, packet: bytes) -> tuple[int, bytes]:
        return self.keys[{"i": "r", "r": "i"}[self.outbound]].open(packet)

    def seal(self, next_header: int, payload: bytes) -> bytes:
        self.sequence += 1
        return self.keys[self.outbound].seal(self.spi_out, self.sequence, next_header, payload)


class CharonLog:
    """The CHILD_SAs out of a growing log. charon derives the keys and then adds both SAs in one thread."""

    def __init__(self, charon: Charon):
        self._charon, self._read, self._state = charon, 0, {}
        self.pairs: dict[int, Pair] = {}
        # SPIs of those that charon has taken back.
        self.deleted: set[int] = set()

    def follow(self):
        with contextlib.suppress(FileNotFoundError), open(self._charon.log, "rb") as log:
            log.seek(self._read)
            text = log.read()
            whole = text.rfind(b"\n") + 1
            self._read += whole
            for line in text[:whole].decode(errors="replace").splitlines():
                self._line(DATE.sub("", line))

    def _line(self, line: str):
        match = LINE.match(line)
        if not match:
            return
        _, name, text = match.groups()
        state = self._state.setdefault(name, {"keys": {}})
        if octets := HEXADECIMAL.match(text):
            if key := state.get("key"):
                state["keys"][key] += bytes.fromhex(octets[1].replace(" ", ""))
            return
        state["key"] = None
        if found := re.match(r"(encryption|integrity) (initiator|responder) key => ", text):
            state["key"] = found[1][0] + found[2][0]
            state["keys"][state["key"]] = b""
        elif found := re.match(r"parsed QUICK_MODE (request|response)", text):
            state["role"] = {"request": "r", "response": "i"}[found[1]]
        elif found := re.match(r"selected proposal: ESP:(\S+)", text):
            state["algorithms"], state["keys"] = found[1].split("/"), {}
        elif found := re.match(r"deleting SAD entry with SPI ([0-9a-f]{8})", text):
            self.deleted.add(int(found[1], 16))
        elif found := re.match(r"adding (inbound|outbound) ESP SA", text):
            state["direction"] = found[1]
        elif (found := re.match(r"\s+SPI 0x([0-9a-f]{8}), src (\S+) dst (\S+)", text)) and (direction := state.pop("direction", None)):
            state[direction] = int(found[1], 16), found[2], found[3]
            if direction == "outbound" and "inbound" in state:
                self._add(state)

    def _add(self, state: dict):
        cipher = next(name for name in CIPHERS if state["algorithms"][0].startswith(name))
        mac = next((name for name in state["algorithms"] if name in MACS), None)
        keys = {side: Keys(cipher, mac, state["keys"].get("e" + side, b""), state["keys"].get("i" + side, b"")) for side in "ir"}
        (spi_in, _, local), (spi_out, _, remote) = state.pop("inbound"), state.pop("outbound")
        self.pairs[spi_in] = Pair(spi_in, spi_out, local, remote, keys, state["role"])


@dataclass
class Seen:
    """What came out of the tunnel."""

    echo_requests: int = 0
    echo_replies: set[int] = field(default_factory=set)
    nhrp: list[bytes] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


class EspPeer:
    """`address`: ours in the tunnel. `interface`: the underlay."""

    def __init__(self, charon: Charon, address: str, interface: str = "eth0", tunnel_key: int | None = 1):
        self._charon, self._address, self._key = charon, address, tunnel_key
        self._log = CharonLog(charon)
        namespace = charon.namespace
        self._in = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self._in.bind((interface, 0x0800))
        # Also keeps the kernel from answering ESP with ICMP "protocol unreachable".
        self._esp = namespace.socket(socket.AF_INET, socket.SOCK_RAW, ESP)
        self._out = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._ports: dict[str, tuple[int, int]] = {}
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.seen = Seen()
        self.answers = True

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(5)
        for one in (self._in, self._esp, self._out):
            one.close()

    def _serve(self):
        while not self._end.is_set():
            if select.select([self._in], [], [], 0.05)[0]:
                packet, (_, _, kind, *_) = self._in.recvfrom(65535)
                if kind != socket.PACKET_OUTGOING and len(packet) >= 28:
                    with self._lock:
                        try:
                            self._received(packet)
                        except (Refused, Failed, struct.error, OSError) as reason:
                            self._refused(str(reason))

    def _refused(self, reason: str):
        self.seen.refused[reason] = self.seen.refused.get(reason, 0) + 1

    def _received(self, packet: bytes):
        header, total = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0]
        source, body = socket.inet_ntoa(packet[12:16]), packet[header:total]
        if packet[9] == UDP:
            ports = struct.unpack_from(">HH", body)
            body = body[8:]
            if ports[1] != NAT_T:
                return
            # IKE shows too where the other end is behind its NAT.
            self._ports[source] = ports
            if len(body) < 16 or body[:4] == b"\0\0\0\0":
                return
        elif packet[9] != ESP:
            return
        self._log.follow()
        pair = self._log.pairs.get(struct.unpack_from(">I", body)[0])
        if not pair:
            raise Refused("unknown SPI")
        next_header, payload = pair.open(body)
        if next_header == IPIP:
            next_header, payload = payload[9], payload[(payload[0] & 15) * 4:]
        if next_header != GRE:
            raise Refused(f"next header {next_header}")
        self._gre(payload)

    def _gre(self, packet: bytes):
        flags, protocol = struct.unpack_from(">HH", packet)
        inner = packet[4 + 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000):]
        if protocol == NHRP_IN_GRE:
            self.seen.nhrp.append(inner)
        elif protocol == IP_IN_GRE and inner[9] == 1:
            source, destination = socket.inet_ntoa(inner[12:16]), socket.inet_ntoa(inner[16:20])
            message = inner[(inner[0] & 15) * 4:struct.unpack_from(">H", inner, 2)[0]]
            if message[0] == 8 and destination == self._address:
                self.seen.echo_requests += 1
                if self.answers:
                    self._send(IP_IN_GRE, ip(destination, source, 1, echo(0, message[4:])))
            elif message[0] == 0:
                self.seen.echo_replies.add(struct.unpack_from(">H", message, 6)[0])

    def _send(self, protocol: int, payload: bytes):
        self._log.follow()
        pair = self._to_send_with()
        key = b"" if self._key is None else struct.pack(">I", self._key)
        payload = struct.pack(">HH", 0x2000 if key else 0, protocol) + key + payload
        local, remote = pair.local.split("[")[0], pair.remote.split("[")[0]
        child = self._child(pair)
        if self._charon.peer.mode == "tunnel":
            # Behind a NAT the inner addresses are not the outer ones.
            inner = (re.match(r"\[([\d.]+)", child[side])[1] for side in ("local-ts", "remote-ts"))
            packet = pair.seal(IPIP, ip(*inner, GRE, payload))
        else:
            packet = pair.seal(GRE, payload)
        if child.get("encap") == "yes":
            theirs, ours = self._ports.get(remote, (NAT_T, NAT_T))
            packet = struct.pack(">HHHH", ours, theirs, 8 + len(packet), 0) + packet
            self._out.sendto(ip(local, remote, UDP, packet), (remote, 0))
        else:
            self._esp.sendto(packet, (remote, 0))

    def _to_send_with(self) -> Pair:
        if not self._log.pairs:
            raise Failed("charon has no keys")
        return list(self._log.pairs.values())[-1]

    def _child(self, pair: Pair) -> dict:
        """What swanctl says of it; while charon is still installing it, of its predecessor."""
        if not pair.child:
            children = [child for sa in self._charon.sas() for child in sa["children"]]
            pair.child = next((child for child in children if int(child.get("spi-in", "0"), 16) == pair.spi_in), {})
        known = pair.child or next((one.child for one in reversed(self._log.pairs.values()) if one.child), None)
        if not known:
            raise Failed("charon knows no CHILD_SA of that SPI")
        return known

    def ping(self, destination: str, number: int = 3, seconds: float = 5):
        """Echo requests through the tunnel, each answered."""
        for sequence in range(1, number + 1):
            with self._lock:
                self.seen.echo_replies.discard(sequence)
                self._send(IP_IN_GRE, ip(self._address, destination, 1, echo(8, struct.pack(">HH", 7, sequence) + bytes(32))))
            eventually(f"the answer to echo request {sequence} (refused: {self.seen.refused})", lambda: sequence in self.seen.echo_replies, seconds)

    def register(self, nhs: str, nbma: str, seconds: float = 5):
        """An NHRP Registration Request (RFC 2332 §5.2.3); its reply accepts it."""
        request = 17
        mandatory = struct.pack(">BBHI4s4s4s", 4, 4, 0x8000, request, *map(socket.inet_aton, (nbma, self._address, nhs)))
        mandatory += struct.pack(">BBHHHBBBB", 0, 32, 0, 1514, 600, 0, 0, 0, 0)
        fixed = struct.pack(">HH5sBHHHBBBB", 1, 0x0800, bytes(5), 255, 20 + len(mandatory), 0, 0, 1, 3, 4, 0)
        packet = fixed + mandatory
        packet = packet[:12] + struct.pack(">H", checksum(packet)) + packet[14:]
        with self._lock:
            self._send(NHRP_IN_GRE, packet)
        # Type 4 is the reply; the code of its client information entry follows the mandatory part.
        reply = eventually(f"the registration reply (refused: {self.seen.refused})",
                           lambda: next((one for one in self.seen.nhrp if one[17] == 4 and one[24:28] == packet[24:28]), None), seconds)
        if reply[40] != 0:
            raise Failed(f"registration refused with code {reply[40]}")
