"""Debian packages: installed where they are missing and we may."""
import os
import shutil
import subprocess

from .cases import Skipped

_present: set[str] = set()
_absent: dict[str, str] = {}


def _installed(package: str) -> bool:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return done.stdout == "install ok installed"


def _install(names: list[str]) -> str | None:
    """What went wrong."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return "needs apt-get and root"
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (install, ["apt-get", "update", "-q"], install):
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if command is install and done.returncode == 0:
            return None
    return done.stderr.strip()[-300:]


def ensure(*names: str):
    """Raises `Skipped` naming the packages that are missing and cannot be installed."""
    if not shutil.which("dpkg-query"):
        raise Skipped("not a Debian machine (no dpkg-query)")
    for name in names:
        if name in _absent:
            raise Skipped(f"package {name} is missing: {_absent[name]}")
    missing = [name for name in names if name not in _present and not _installed(name)]
    if missing and (complaint := _install(missing)):
        _absent.update(dict.fromkeys(missing, complaint))
        raise Skipped(f"packages missing: {' '.join(missing)}: {complaint}")
    _present.update(names)
