"""Echo requests without end from behind a charon, beside what `EspPeer` does."""
import struct
import threading
import time

from .cases import Failed
from .charon import Charon
from .esp_peer import IP_IN_GRE, EspPeer, Pair, echo, ip


class EspStream(EspPeer):
    """Sends an echo request to `other` each `interval` seconds from `flow` to `cease`."""

    def __init__(self, charon: Charon, address: str, other: str, interval: float = 0.2, **options):
        super().__init__(charon, address, **options)
        self._other, self._interval = other, interval
        self._ceased = threading.Event()
        self._stream = threading.Thread(target=self._flow, daemon=True)
        self.sent = 0
        # Where there was nothing to send with.
        self.unsent = 0

    def flow(self):
        self._stream.start()

    def cease(self) -> tuple[int, int, int]:
        """How many were sent, how many of them answered, and the longest run of unanswered ones."""
        self._ceased.set()
        self._stream.join(5)
        time.sleep(2)
        longest = run = 0
        for sequence in range(1, self.sent + 1):
            run = 0 if sequence & 0xffff in self.seen.echo_replies else run + 1
            longest = max(longest, run)
        return self.sent, len(self.seen.echo_replies), longest

    def _flow(self):
        while not self._ceased.wait(self._interval):
            self.sent += 1
            request = echo(8, struct.pack(">HH", 8, self.sent & 0xffff) + bytes(32))
            with self._lock:
                try:
                    self._send(IP_IN_GRE, ip(self._address, self._other, 1, request))
                except (Failed, OSError):
                    self.unsent += 1

    def _to_send_with(self) -> Pair:
        """The newest that charon has not taken back, as a kernel does it."""
        for pair in reversed(self._log.pairs.values()):
            if pair.spi_in not in self._log.deleted:
                return pair
        raise Failed("charon has no CHILD_SA")

    def __exit__(self, *exception):
        self._ceased.set()
        if self._stream.is_alive():
            self._stream.join(5)
        super().__exit__(*exception)

    def register_again(self, nhs: str, nbma: str, times: int = 5):
        """`register`, repeated where the request or its reply is lost."""
        for again in range(times):
            try:
                return self.register(nhs, nbma, 2)
            except Failed:
                if again == times - 1:
                    raise
