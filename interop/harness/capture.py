"""What was on a wire: tcpdump beside the peers, and the questions asked of its file."""
import contextlib
import pathlib
import re
import signal
import struct

from passive import tshark

from .cases import Failed, check, eventually
from .namespaces import Namespace
from .process import Process

ESP, GRE, UDP = 50, 47, 17


class Capture:
    """tcpdump on one interface from the start to the end."""

    def __init__(self, namespace: Namespace, interface: str, path: pathlib.Path):
        self.path = path
        # A large buffer: on a machine with other work to do tcpdump waits for its turn, too.
        self._process = Process("tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-B", 16384, "-s", 2048, "-Z", "root", "-w", path,
                                log=path.with_suffix(".tcpdump"), netns=namespace.name)
        self._process.wait_line("listening on", 5)
        eventually("tcpdump's file", lambda: path.exists() and path.stat().st_size >= 24)

    def _records(self):
        """The records that are in the file as a whole, each with its header of 16 octets."""
        data, at = self.path.read_bytes(), 24
        while at + 16 <= len(data):
            end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
            if end <= len(data):
                yield data[at:end]
            at = end

    def packets(self) -> list[bytes]:
        """The IPv4 packets."""
        return [record[30:] for record in self._records() if record[28:30] == b"\x08\x00"]

    def decrypted(self, keys: pathlib.Path) -> list[dict]:
        """How tshark, with the keys that a daemon of ours writes, reads each frame with GRE, NHRP, ISAKMP or ESP in it: in
        the words of `dissect`, each layer a list, outermost first."""
        # tcpdump may be in the middle of a record.
        whole = self.path.with_suffix(".whole")
        whole.write_bytes(self.path.read_bytes()[:24] + b"".join(self._records()))
        try:
            frames, _ = tshark.read(whole, keys)
        except tshark.Unread as unread:
            raise Failed(f"{self.path.stem}: tshark: {unread}") from None
        finally:
            whole.unlink()
        return list(frames.values())

    def no_clear_gre(self):
        """Of a capture that has ended: it is complete, there was ESP, and nothing of GRE outside of it."""
        link = self.path.stem
        captured, received, dropped = self._figures()
        check(captured == received and dropped == 0, f"the capture of {link} has {captured} of {received} packets, {dropped} were dropped")
        packets = self.packets()
        check(any(map(_is_esp, packets)), f"no ESP on {link}: the capture proves nothing")
        clear = sum(packet[9] == GRE for packet in packets)
        check(clear == 0, f"{clear} packets of clear GRE on {link}")

    def _figures(self) -> tuple[int, ...]:
        """Packets captured, received and dropped, by what tcpdump said last."""
        counts = re.findall(r"(\d+) packets? (?:captured|received by filter|dropped by kernel)", self._process.text())
        return tuple(int(count) for count in counts[-3:]) or (0, 0, 0)

    def end(self):
        """Once tcpdump has written all that it received: what it has not read yet goes with it."""
        def all_written():
            self._process.send(signal.SIGUSR1)
            captured, received, _ = self._figures()
            return captured == received > 0
        with contextlib.suppress(Failed):
            eventually("tcpdump's last packet", all_written, 3)
        self._process.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def _is_esp(packet: bytes) -> bool:
    """By itself, or in UDP to or from port 4500 without the four zero octets of IKE (RFC 3948 §2.2)."""
    udp = packet[4 * (packet[0] & 15):]
    return packet[9] == ESP or (packet[9] == UDP and len(udp) > 12 and 4500 in struct.unpack_from(">HH", udp) and udp[8:12] != bytes(4))
