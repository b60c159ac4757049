"""Runs cases one after the other: a line for each, their logs where they fail, everything undone at the end."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import time
import traceback

from . import namespaces, packages, router
from .cases import Case, Failed, Skipped

BASE_PACKAGES = ("iproute2", "nftables", "tcpdump", "conntrack", "python3-cryptography")


class TimeLimit(Failed):
    """The case took longer than it may."""


class Bench:
    """What a case gets.

    `logs` is its directory, which stays only if it fails. `enter` is for what the case starts: it is left at
    its end. `shared(Lab)` is the one `Lab(bench)` that all cases of this run use, made by the first of them
    and made anew after a failure; a `Lab` is a context manager.
    """

    def __init__(self):
        self.logs = pathlib.Path()
        self._case = contextlib.ExitStack()
        self._run = contextlib.ExitStack()
        self._labs: dict[type, object] = {}

    def enter(self, manager):
        return self._case.enter_context(manager)

    def finally_(self, action, *arguments):
        self._case.callback(action, *arguments)

    def shared(self, lab: type):
        if lab not in self._labs:
            self._labs[lab] = self._run.enter_context(lab(self))
        return self._labs[lab]

    def end_case(self):
        stack, self._case = self._case, contextlib.ExitStack()
        stack.close()

    def end_labs(self):
        stack, self._run, self._labs = self._run, contextlib.ExitStack(), {}
        stack.close()


def _unable() -> str | None:
    """Why no case at all can run here."""
    if os.geteuid() != 0:
        return "not root: network namespaces, raw sockets and TAP devices need it"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    try:
        packages.ensure(*BASE_PACKAGES)
        namespaces.probe()
    except (Skipped, Failed) as reason:
        return str(reason)
    return None


def _interrupted(*_):
    raise KeyboardInterrupt


def run(chosen: list[Case], logs: pathlib.Path, again: bool, keep: bool = False) -> int:
    """The exit status: 1 if a case failed, with `again` twice in a row: peers of other people's making, on a
    machine with other work to do, are sometimes slow. Both times are printed and leave their logs. `keep`: what passes does so too."""
    signal.signal(signal.SIGTERM, _interrupted)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    logs = logs / time.strftime("%Y%m%d-%H%M%S")
    width = max(len(case.name) for case in chosen)

    def report(case: str, verdict: str, seconds: float, reason: str):
        counts[{"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}[verdict]] += 1
        print(f"{verdict} {case:{width}} {seconds:6.1f} s  {reason}".rstrip(), flush=True)

    bench = Bench()
    try:
        unable = _unable()
        if not unable:
            router.build()
        for case in chosen:
            if unable:
                report(case.name, "SKIP", 0, unable)
                continue
            verdict, seconds, reason = _one(case, bench, logs, keep)
            if verdict == "FAIL" and again:
                print(f"once more: {case.name}: {reason}", flush=True)
                verdict, seconds, reason = _one(case, bench, logs / "again", keep)
            report(case.name, verdict, seconds, reason)
    except router.BuildFailed as failed:
        report("build", "FAIL", 0, str(failed))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        counts["failed"] += 1
    finally:
        # A second Ctrl-C does not leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.ExitStack() as undone:
            undone.callback(namespaces.remove_all)
            undone.callback(bench.end_labs)
            # Of a case that was interrupted nothing is judged any more.
            with contextlib.suppress(Failed):
                bench.end_case()
    print(", ".join(f"{number} {what}" for what, number in counts.items()))
    return 1 if counts["failed"] else 0


def _one(case: Case, bench: Bench, logs: pathlib.Path, keep: bool) -> tuple[str, float, str]:
    def expired(*_):
        raise TimeLimit(f"not done within {case.limit:g} s")

    bench.logs = logs / re.sub(r"[^\w.-]+", "_", case.name)
    bench.logs.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    verdict, reason = "PASS", ""
    signal.signal(signal.SIGALRM, expired)
    try:
        packages.ensure(*case.needs)
        signal.setitimer(signal.ITIMER_REAL, case.limit)
        reason = case.body(bench, *case.arguments) or ""
    except Skipped as skipped:
        verdict, reason = "SKIP", str(skipped)
    except Failed as failed:
        verdict, reason = "FAIL", str(failed)
        (bench.logs / "traceback").write_text(traceback.format_exc())
    except Exception as error:  # a case that breaks must not keep the others from running
        verdict, reason = "FAIL", f"{type(error).__name__}: {error}"
        (bench.logs / "traceback").write_text(traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        bench.end_case()
    except Exception as error:  # nor one that cannot be undone
        if verdict == "PASS":
            verdict, reason = "FAIL", str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
    if verdict == "FAIL":
        bench.end_labs()
        reason += f"  [{bench.logs}]"
    elif not keep:
        shutil.rmtree(bench.logs, ignore_errors=True)
        with contextlib.suppress(OSError):
            logs.rmdir()
    return verdict, time.monotonic() - start, reason
