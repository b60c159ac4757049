"""Our daemon in a namespace."""
import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from .cases import Failed, check
from .namespaces import Namespace
from .process import Process, run

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
_program: pathlib.Path | None = None


class BuildFailed(Exception):
    """There is no daemon to test."""


def build():
    """Build the daemon once, with optimisation, and take a copy: what is built during a long run does not change it."""
    global _program
    cargo = ["cargo", "build", "--release", "--bin", "dmvpn", "--message-format", "json-render-diagnostics"]
    try:
        done = subprocess.run(cargo, cwd=REPOSITORY, capture_output=True, text=True)
    except FileNotFoundError:
        raise BuildFailed("no cargo") from None
    for line in done.stdout.splitlines():
        if path := json.loads(line).get("executable"):
            directory = tempfile.mkdtemp(prefix="interop-dmvpn-")
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            _program = pathlib.Path(shutil.copy(path, directory))
    if done.returncode != 0 or not _program:
        raise BuildFailed(f"cargo build --release --bin dmvpn: {done.stderr.strip()[-500:]}")


class Router:
    """`dmvpn run` with the given configuration in the guide's syntax.

    All its files are in `logs`, named `name`: the configuration, `.log` (its output with every debug line),
    `.keys` (for Wireshark). Leaving it ends it as an operator would, and fails if it does not end cleanly.
    """

    def __init__(self, namespace: Namespace, configuration: str, logs: pathlib.Path, name: str = "router", options: tuple[str, ...] = ()):
        self.namespace = namespace
        self._file = logs / f"{name}.ios"
        self._file.write_text(configuration)
        self._log = logs / f"{name}.log"
        self.keys = logs / f"{name}.keys"
        self.keys.mkdir(exist_ok=True)
        # Socket names have at most 107 octets, and a log directory may be longer.
        self._socket = pathlib.Path(f"/run/{namespace.name}-{name}.sock")
        self._options = options
        self._process: Process | None = None
        self._read = 0

    def start(self):
        self._read = len(self.text())
        self._process = Process(_program, "run", self._file, "--control", self._socket, "--debug", "--keys", self.keys, *self._options,
                                log=self._log, netns=self.namespace.name, env={"RUST_BACKTRACE": "1"})
        try:
            self.wait_line("^ready$", 10)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self):
        """SIGTERM: deletes and purges are sent, the status is 0."""
        status = self._process.end(signal.SIGTERM)
        check(status == 0, f"dmvpn ended with status {status}: {self.text().strip()[-300:]}")

    def kill(self):
        """It dies without a word; only its control socket stays behind, as after a crash."""
        self._process.end(signal.SIGKILL)

    def alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def resident(self) -> int:
        """Its memory in KiB."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1])

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def text(self) -> str:
        """Everything it printed, over restarts too."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def mark(self):
        """From here on `wait_line` looks only at what comes after this."""
        self._read = len(self.text())

    def wait_line(self, pattern: str, seconds: float = 5):
        """The first line since the start, or the last `mark`, in which `pattern` is found."""
        return self._process.wait_line(pattern, seconds, after=self._read)

    def command(self, *words: str) -> str:
        return run(_program, "--control", self._socket, *words, netns=self.namespace.name, seconds=10)

    def show(self, command: str):
        """`show("ip nhrp nhs")`: the JSON document of that command."""
        text = self.command("show", *command.split(), "--json")
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(f"show {command} --json is no JSON: {text[:200]}") from None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        if self.alive():
            self.kill() if any(exception) else self.stop()
        for path in (self._socket,):
            if path.exists():
                os.unlink(path)
