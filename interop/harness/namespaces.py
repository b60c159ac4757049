"""Network namespaces and the links between them. Their names start with a prefix that no other run has."""
import ctypes
import os
import socket
import subprocess

from .cases import Failed
from .process import run

PREFIX = f"interop-{os.getpid()}"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_made: dict[str, "Namespace"] = {}


class Namespace:
    """`Namespace("hub")` exists until `remove`, and at the latest until the end of the run."""

    def __init__(self, name: str):
        self.name = f"{PREFIX}-{name}"
        run("ip", "netns", "add", self.name)
        _made[self.name] = self
        self.ip("link", "set", "lo", "up")

    def ip(self, *words) -> str:
        return run("ip", "-n", self.name, *words)

    def run(self, *argv, **options) -> str:
        return run(*argv, netns=self.name, **options)

    def nft(self, rules: str):
        run("nft", "-f", "-", netns=self.name, input=rules)

    def sysctl(self, **values):
        """`net__ipv4__ip_forward=1` is net.ipv4.ip_forward."""
        run("sysctl", "-qw", *(f"{key.replace('__', '.')}={value}" for key, value in values.items()), netns=self.name)

    def socket(self, *kind) -> socket.socket:
        """A socket of this namespace, usable from anywhere."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as here:
            _enter(here.fileno())
            try:
                return socket.socket(*kind)
            finally:
                _enter(home.fileno())

    def remove(self):
        if _made.pop(self.name, None):
            run("ip", "netns", "del", self.name, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def _enter(descriptor: int):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise Failed(f"setns: {os.strerror(ctypes.get_errno())}")


def link(one: Namespace, name: str, other: Namespace, other_name: str, mtu: int = 1500):
    """A veth pair, up at both ends."""
    one.ip("link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", other_name, "mtu", mtu, "netns", other.name)
    one.ip("link", "set", name, "up")
    other.ip("link", "set", other_name, "up")


def remove_all():
    for namespace in list(_made.values()):
        namespace.remove()


def probe():
    """Raises `Failed` where namespaces cannot be had."""
    try:
        Namespace("probe").remove()
    except (Failed, subprocess.SubprocessError) as error:
        raise Failed(f"no network namespaces here: {error}") from None
