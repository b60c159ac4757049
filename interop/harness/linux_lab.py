"""Linux routers and daemons of ours around one Internet, with whatever is in the way: NAT or a small MTU."""
import hashlib
import ipaddress
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time

from . import linux_router_image
from .capture import Capture
from .cases import Skipped, check, eventually
from .linux_router import LinuxRouter
from .linux_router_config import HUB_LOOPBACKS, SPOKE_LOOPBACKS, RouterConfig
from .linux_router_frr import Frr
from .namespaces import Namespace, link
from .router import Router

CACHE = os.environ.get("INTEROP_CACHE", "/var/cache/dmvpn-interop")
HUB, HUB_TUNNEL = "172.16.10.1", "10.1.1.254"
# Redirects would send a spoke past the hub on what looks like one Ethernet.
QUIET = {"net__ipv4__conf__all__send_redirects": 0, "net__ipv4__conf__default__send_redirects": 0,
         "net__ipv6__conf__all__disable_ipv6": 1, "net__ipv6__conf__default__disable_ipv6": 1}

GUIDE = """{crypto}interface Tunnel0
 ip address {tunnel} 255.255.255.0
 ip mtu 1400
{nhrp} ip nhrp network-id 1
 ip tcp adjust-mss 1360
 tunnel source Ethernet0/0
 tunnel key 1
{protection}!
interface Ethernet0/0
 ip address {nbma} 255.255.255.0
"""
CRYPTO = """crypto isakmp policy 1
 encr 3des
 hash sha
 authentication pre-share
crypto isakmp key {psk} address 0.0.0.0 0.0.0.0
crypto isakmp keepalive 10 3 periodic
!
crypto ipsec transform-set DMVPN-TSET esp-3des esp-sha-hmac
 mode transport
!
crypto ipsec profile DMVPN-IPSEC
 set transform-set DMVPN-TSET
!
"""


def guide(config):
    """The guide's configuration of a hub or a spoke, with dead peer detection (proof: recovery without help)."""
    nhrp = " ip nhrp authentication %s\n" % config.authentication
    if config.nhs:
        nhrp += " ip nhrp map {nhs} {nbma}\n ip nhrp nhs {nhs}\n tunnel destination {nbma}\n".format(nhs=config.nhs, nbma=config.nhs_nbma)
    else:
        nhrp += " ip nhrp map multicast dynamic\n tunnel mode gre multipoint\n"
    return GUIDE.format(crypto=CRYPTO.format(psk=config.psk) if config.psk else "", nbma=config.nbma_address, tunnel=config.tunnel_address, nhrp=nhrp,
                        protection=" tunnel protection ipsec profile DMVPN-IPSEC\n" if config.psk else "")


class OurRouter(Router):
    """A daemon of ours that is asked as a Linux router is: `config` says where it is, `run` runs a shell command there."""

    def __init__(self, namespace, config, logs):
        super().__init__(namespace, guide(config), logs, config.name)
        self.config = config

    def run(self, command, timeout=30, check=True):
        return self.namespace.run("sh", "-c", command, seconds=timeout, check=check)


class LinuxLab:
    """One case's network: left with the case. With tunnel protection no link of it may carry GRE outside ESP, ever (proof 6)."""

    def __init__(self, bench, protected=True):
        self.bench, self.protected = bench, protected
        self.image = linux_router_image.prepare(CACHE)
        self.internet = self._router_namespace("internet")
        self.links = {}

    def _router_namespace(self, name):
        namespace = self.bench.enter(Namespace(name))
        namespace.sysctl(net__ipv4__ip_forward=1, **QUIET)
        return namespace

    # ---------------------------------------------------------------- what is in the way
    def nat(self):
        """A router at 192.0.2.2 that hides what is behind it; ports are rewritten."""
        box = self._router_namespace("nat")
        link(self.internet, "nat", box, "out")
        self.internet.ip("addr", "add", "192.0.2.1/30", "dev", "nat")
        box.ip("addr", "add", "192.0.2.2/30", "dev", "out")
        box.ip("route", "add", "default", "via", "192.0.2.1")
        self.watch(self.internet, "nat")
        box.nft('table ip nat { chain post { type nat hook postrouting priority 100; oifname "out" masquerade random; }; }')
        return box

    def narrow(self, mtu, inside):
        """A router behind a link of that MTU; `inside` is the network behind it."""
        box = self._router_namespace("narrow")
        link(self.internet, "narrow", box, "out", mtu=mtu)
        self.internet.ip("addr", "add", "192.0.2.5/30", "dev", "narrow")
        box.ip("addr", "add", "192.0.2.6/30", "dev", "out")
        box.ip("route", "add", "default", "via", "192.0.2.5")
        self.watch(self.internet, "narrow")
        self.internet.ip("route", "add", inside, "via", "192.0.2.6")
        return box

    # ---------------------------------------------------------------- who is there
    def linux(self, config, behind=None):
        """A Linux router, booting."""
        if config.routing == "eigrp" and not self.image.eigrp:
            raise Skipped("EIGRP over mGRE needs FRR 10.5: %s" % " ".join(self.image.versions))
        where = behind or self.internet
        tap = "t-" + config.name
        where.ip("tuntap", "add", "dev", tap, "mode", "tap")
        where.ip("addr", "add", config.gateway + "/24", "dev", tap)
        where.ip("link", "set", tap, "up")
        self.watch(where, tap)
        return self.boot(config, where, tap)

    def boot(self, config, where, tap):
        # A short path: user-mode Linux has sockets there.
        directory = pathlib.Path(tempfile.mkdtemp(prefix="linux-router-"))
        self.bench.finally_(self._keep, directory, config.name)
        return self.bench.enter(LinuxRouter(self.image, config, directory, where.name, tap))

    def _keep(self, directory, name):
        shutil.copytree(directory / "log", self.bench.logs / ("linux-" + name), dirs_exist_ok=True)
        shutil.rmtree(directory, ignore_errors=True)

    def linux_hub(self, **options):
        return self.linux(RouterConfig(**options))

    def linux_spoke(self, number, behind=None, **options):
        return self.linux(spoke_config(number, **options), behind)

    def ours(self, config, behind=None):
        """A daemon of ours in a namespace with its underlay address and its loopbacks."""
        where = behind or self.internet
        namespace = self.bench.enter(Namespace(config.name))
        namespace.sysctl(net__ipv4__ip_forward=1, **QUIET)
        underlay = "u-" + config.name
        link(where, underlay, namespace, "eth0")
        where.ip("addr", "add", config.gateway + "/24", "dev", underlay)
        namespace.ip("addr", "add", config.nbma, "dev", "eth0")
        namespace.ip("route", "add", "default", "via", config.gateway)
        # Not on `lo`: eigrpd does not announce what is there. Not every kernel has dummies; a veth pair does.
        for number, address in enumerate(config.loopbacks):
            link(namespace, "loop%d" % number, namespace, "back%d" % number)
            namespace.ip("addr", "add", str(ipaddress.ip_interface(address)), "dev", "loop%d" % number)
        self.watch(where, underlay)
        return self.bench.enter(OurRouter(namespace, config, self.bench.logs))

    def our_hub(self, **options):
        return self.ours(RouterConfig(**options))

    def our_spoke(self, number=1, behind=None, **options):
        return self.ours(spoke_config(number, **options), behind)

    def frr(self, router, protocol):
        """The routing protocol beside a daemon of ours."""
        directory = tempfile.mkdtemp(prefix="frr-")
        self.bench.finally_(shutil.rmtree, directory, True)
        frr = self.bench.enter(Frr(self.image, directory, router.namespace.name))
        frr.start(protocol, router.config.tunnel, router.config.loopbacks)
        return frr

    # ---------------------------------------------------------------- judging
    def watch(self, namespace, interface):
        """Captures a link of the underlay, and judges it at the end of the case, when everyone has said goodbye."""
        capture = Capture(namespace, interface, self.bench.logs / (interface + ".pcap"))
        if self.protected:
            self.bench.finally_(capture.no_clear_gre)
        self.links[interface] = self.bench.enter(capture)


def spoke_loopbacks(number):
    """209.165.201.1–4 are the first spoke's, as in the guide; the second's are .5–.8."""
    return ["209.165.201.%d" % (4 * (number - 1) + n) for n in (1, 2, 3, 4)] if number > 1 else list(SPOKE_LOOPBACKS)


def spoke_config(number, **options):
    network = "172.16.%d." % number
    values = dict(name="spoke%d" % number, nbma=network + "1/24", gateway=network + "254", tunnel="10.1.1.%d/24" % number,
                  loopbacks=spoke_loopbacks(number), nhs=HUB_TUNNEL, nhs_nbma=HUB)
    return RouterConfig(**{**values, **options})


def ping(router, source, target, seconds=20):
    """From a router of either kind; the first packets may be lost while links come up."""
    eventually("ping %s to %s" % (source, target),
               lambda: " 0% packet loss" in router.run("ping -c 1 -W 1 -I %s %s" % (source, target), check=False), seconds, 0.1)


def transfer(ours, router, octets, seconds=60):
    """TCP in both directions between a daemon's side, at its first loopback, and a Linux router; the seconds each took."""
    address = ours.config.loopbacks[0]
    blob = os.urandom(1 << 16) * (octets >> 16)
    digest = hashlib.md5(blob).hexdigest()
    pathlib.Path(router.directory, "blob").write_bytes(blob)
    took = []
    for outward in (True, False):
        listener = ours.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 5001))
        listener.listen(1)
        got = []

        def serve():
            connection, _ = listener.accept()
            connection.settimeout(seconds)
            with connection:
                if outward:
                    connection.sendall(blob)
                else:
                    received = hashlib.md5()
                    while data := connection.recv(1 << 16):
                        received.update(data)
                    got.append(received.hexdigest())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        started = time.monotonic()
        if outward:
            output = router.run("exec 3<>/dev/tcp/%s/5001; md5sum <&3" % address, timeout=seconds)
            check(output.split()[0] == digest, "what arrived is not what was sent")
        else:
            router.run("cat /host/blob >/dev/tcp/%s/5001" % address, timeout=seconds)
            thread.join(seconds)
            check(got == [digest], "what arrived is not what was sent")
        listener.close()
        took.append(time.monotonic() - started)
    return tuple(took)
