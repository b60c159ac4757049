"""What was on a wire: tcpdump beside the peers, and the questions asked of its file."""
import pathlib
import struct

from .cases import check, eventually
from .namespaces import Namespace
from .process import Process

GRE = 47


class Capture:
    """tcpdump on one interface from `start` to the end; `mark` and `since` cut out what one case did."""

    def __init__(self, namespace: Namespace, interface: str, path: pathlib.Path):
        self.path = path
        self._process = Process("tcpdump", "-i", interface, "-n", "-U", "-s", "0", "-Z", "root", "-w", path, log=path.with_suffix(".tcpdump"), netns=namespace.name)
        self._process.wait_line("listening on", 5)
        eventually("tcpdump's file", lambda: path.exists() and path.stat().st_size >= 24)

    def mark(self) -> int:
        return self.path.stat().st_size

    def packets(self, mark: int = 24) -> list[tuple[float, bytes]]:
        """Time and IPv4 packet of each frame since `mark`."""
        data = self.path.read_bytes()
        packets, at = [], mark
        while at + 16 <= len(data):
            seconds, micros, length = struct.unpack_from("<III", data, at)
            frame = data[at + 16:at + 16 + length]
            at += 16 + length
            if len(frame) == length and frame[12:14] == b"\x08\x00":
                packets.append((seconds + micros / 1e6, frame[14:]))
        return packets

    def save(self, mark: int, path: pathlib.Path):
        """Everything since `mark` as a capture of its own."""
        data = self.path.read_bytes()
        path.write_bytes(data[:24] + data[mark:])

    def no_clear_gre(self, mark: int = 24):
        """Nothing of GRE was on the wire outside ESP."""
        clear = sum(packet[9] == GRE for _, packet in self.packets(mark))
        check(clear == 0, f"{clear} packets of clear GRE on the wire")

    def end(self):
        self._process.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
