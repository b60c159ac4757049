"""Other programs: run to their end, or started, watched and ended by their process group."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

from .cases import Failed, eventually


def run(*argv, netns: str | None = None, seconds: float = 30, check: bool = True, **options) -> str:
    """The standard output of a program that ends by itself; a failure names the command and its complaint."""
    argv = [str(word) for word in argv]
    command = (["ip", "netns", "exec", netns] if netns else []) + argv
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(argv)}: did not end within {seconds:g} s") from None
    except FileNotFoundError:
        raise Failed(f"{command[0]}: no such program") from None
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


class Process:
    """A program in the background, in a session of its own, both outputs in one file."""

    def __init__(self, *argv, log: pathlib.Path, netns: str | None = None, env: dict[str, str] | None = None):
        self.log = log
        self.name = pathlib.Path(str(argv[0])).name
        command = (["ip", "netns", "exec", netns] if netns else []) + [str(word) for word in argv]
        with open(log, "ab") as out:
            # `ip netns exec` becomes the program, so that the process group is the program's.
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                           env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    def alive(self) -> bool:
        return self._child.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_line(self, pattern: str, seconds: float = 5, after: int = 0) -> re.Match:
        """The first line of the output that `pattern` is found in; `after`: characters to pass over."""
        def probe():
            found = re.search(pattern, self.text()[after:], re.MULTILINE)
            if not found and not self.alive():
                raise SystemError
            return found
        try:
            return eventually(f"{self.name}: a line with `{pattern}`", probe, seconds)
        except SystemError:
            raise Failed(f"{self.name} ended with status {self._child.returncode}: {self.text().strip()[-300:]}") from None

    def send(self, number: int):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def end(self, number: int = signal.SIGTERM, seconds: float = 5) -> int:
        """Its exit status (negative: the signal that ended it), after SIGKILL where `number` did not do."""
        if self.alive():
            self.send(number)
            end = time.monotonic() + seconds
            while self.alive() and time.monotonic() < end:
                time.sleep(0.01)
        self.send(signal.SIGKILL)
        return self._child.wait(timeout=5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
