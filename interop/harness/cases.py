"""What a case is, and where cases come from."""
import fnmatch
import importlib
import pathlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

QUICK, CI, ALL = "quick", "ci", "all"


class Failed(Exception):
    """A check did not hold; the text is the reason that is printed."""


class Skipped(Exception):
    """The case cannot run here; the text says what is missing."""


@dataclass(frozen=True)
class Case:
    name: str
    body: Callable
    arguments: tuple
    sets: frozenset[str]
    limit: float
    needs: tuple[str, ...]


_registry: dict[str, Case] = {}


def add(name: str, body: Callable, *arguments, sets: Iterable[str] = (ALL,), limit: float = 30, needs: Iterable[str] = ()):
    """Register `body(bench, *arguments)` as a case.

    `sets`: which of quick, ci and all it belongs to (without any it runs only when named). `limit`: seconds,
    after which it has failed. `needs`: Debian packages.
    """
    assert name not in _registry, f"two cases are called {name}"
    _registry[name] = Case(name, body, arguments, frozenset(sets), limit, tuple(needs))


def case(name: str, **options):
    """The decorator for a case without arguments; options as in `add`."""
    def register(body):
        add(name, body, **options)
        return body
    return register


def load(directory: pathlib.Path):
    for module in sorted(directory.glob("*.py")):
        importlib.import_module(f"cases.{module.stem}")


def select(words: list[str]) -> list[Case]:
    """The cases that the words of a command line stand for, each once, in the order of registration."""
    def chosen(case: Case) -> bool:
        return any(word in case.sets or fnmatch.fnmatchcase(case.name, word) for word in words)
    return [case for case in _registry.values() if chosen(case)]


def check(holds, reason: str):
    if not holds:
        raise Failed(reason)


def eventually(what: str, probe: Callable[[], T], seconds: float = 5, every: float = 0.05) -> T:
    """What `probe` returns as soon as that is true.

    A probe that raises `Failed` says why it is not true yet; the last such reason is in the error.
    """
    end = time.monotonic() + seconds
    while True:
        reason = ""
        try:
            if value := probe():
                return value
        except Failed as failed:
            reason = f": {failed}"
        if time.monotonic() >= end:
            raise Failed(f"{what}: not within {seconds:g} s{reason}")
        time.sleep(every)


def never(what: str, probe: Callable[[], object], seconds: float, every: float = 0.1):
    """Fails as soon as `probe` returns something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := probe():
            raise Failed(f"{what}: {value}")
        time.sleep(every)
