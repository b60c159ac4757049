"""The Linux router's kernel and root file system: Debian packages, unpacked and never installed.

The router is a user-mode Linux, so that kernel GRE and ESP are there whatever the machine's own kernel has.  The packages come from
three suites of the mirror that this machine uses already:

* user-mode-linux from the machine's own suite;
* FRR from FRR_SUITE.  `ip nhrp authentication` came with FRR 10.2.  Up to 10.3 nhrpd insists on a /32 on the tunnel, and eigrpd
  takes no hello from outside the interface's prefix, so that EIGRP over mGRE needs 10.5 or later;
* strongSwan from IKE_SUITE: after 6.0 Debian builds it without IKEv1.
"""
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time

from .cases import Skipped

FRR_SUITE = os.environ.get("INTEROP_FRR_SUITE", "forky")
IKE_SUITE = os.environ.get("INTEROP_IKE_SUITE", "trixie")
INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "linux_router_init.sh")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = """frr strongswan-swanctl charon-systemd libstrongswan-standard-plugins libstrongswan-extra-plugins iproute2 kmod
    iptables bash coreutils mount util-linux iputils-ping tcpdump procps sed grep mawk""".split()
# Kept of the packages' /etc; the rest is written by the router's init.
ETC_KEPT = {"ssl", "protocols", "services", "iproute2", "modprobe.d"}
MODULES_DROPPED = ["kernel/sound", "kernel/fs"] + ["kernel/drivers/" + d for d in ("media", "usb", "iio", "hid", "input")]


class Unavailable(Skipped):
    """The packages cannot be had here; the text says why."""


class Image:
    """A prepared image: `root`, `kernel`, `init`, and what FRR's version allows."""

    def __init__(self, directory):
        self.root = os.path.join(directory, "root")
        self.kernel = os.path.join(directory, "uml/usr/bin/linux.uml")
        self.init = None
        with open(os.path.join(directory, "versions"), encoding="utf-8") as f:
            self.versions = f.read().split("\n")
        found = re.search(r"^frr_(\d+)\.(\d+)", "\n".join(self.versions), re.M)
        self.frr_version = tuple(map(int, found.groups())) if found else (0, 0)

    @property
    def eigrp(self):
        """Whether nhrpd takes a subnet on the tunnel, which eigrpd needs."""
        return self.frr_version >= (10, 5)


def prepare(cache):
    """The image below the directory `cache`, made if it is not there yet (about 15 s, 105 MB of packages, 320 MB of disk)."""
    directory = os.path.join(cache, "linux-router-%s-%s" % (FRR_SUITE, IKE_SUITE))
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(directory, "versions")):
            started = time.monotonic()
            try:
                _build(directory)
            except (OSError, subprocess.CalledProcessError, IndexError) as e:
                raise Unavailable("no Debian packages for the Linux router: %s (see %s/prepare.log)" % (e, directory)) from e
            print("linux router: image prepared in %.0f s" % (time.monotonic() - started), flush=True)
        image = Image(directory)
        image.init = _install_init(image.root)
    return image


def _install_init(root):
    """The init of this version of the harness, whichever version made the image or boots routers from it at the same time."""
    with open(INIT, "rb") as f:
        init = "/usr/sbin/router-init-" + hashlib.sha256(f.read()).hexdigest()[:12]
    if not os.path.exists(root + init):
        shutil.copy(INIT, root + init + ".new")
        os.chmod(root + init + ".new", 0o755)
        os.rename(root + init + ".new", root + init)
    return init


def _mirror():
    """The Debian mirror among the machine's apt sources."""
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(SUITE)|$(COMPONENT)|$(REPO_URI)",
                              "Identifier: Packages"], check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in targets.splitlines():
        origin, suite, component, uri = line.split("|")
        if origin == "Debian" and component == "main" and "security" not in suite and "updates" not in suite:
            return uri
    raise Unavailable("no Debian main archive among this machine's apt sources (apt-get update first?)")


def _apt_tree(directory):
    """A private apt state for the suites, beside the machine's own."""
    apt = os.path.join(directory, "apt")
    shutil.rmtree(apt, ignore_errors=True)
    for d in ("lists/partial", "archives/partial"):
        os.makedirs(os.path.join(apt, d))
    uri = _mirror()
    files = {
        "status": "",
        "sources.list": "".join("deb [signed-by=%s] %s %s main\n" % (KEYRING, uri, s) for s in sorted({FRR_SUITE, IKE_SUITE})),
        "preferences": "Package: *\nPin: release n=%s\nPin-Priority: 900\n\nPackage: src:strongswan\nPin: release n=%s\n"
                       "Pin-Priority: 1001\n" % (FRR_SUITE, IKE_SUITE),
        "apt.conf": 'Dir::State::lists "{0}/lists";\nDir::State::status "{0}/status";\nDir::Etc::sourcelist "{0}/sources.list";\n'
                    'Dir::Etc::sourceparts "-";\nDir::Etc::preferences "{0}/preferences";\nDir::Etc::preferencesparts "-";\n'
                    'Dir::Cache "{0}";\nDir::Cache::archives "{0}/archives";\nAPT::Install-Recommends "false";\n'
                    'APT::Sandbox::User "root";\nAPT::Keep-Downloaded-Packages "true";\nAcquire::Languages "none";\n'
                    'Binary::apt-get::APT::Keep-Downloaded-Packages "true";\nAcquire::Retries "2";\n'
                    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'.format(apt),
    }
    for name, text in files.items():
        with open(os.path.join(apt, name), "w", encoding="utf-8") as f:
            f.write(text)
    return apt


def _build(directory):
    apt, root, uml = (os.path.join(directory, d) for d in ("apt", "root", "uml"))
    for d in (root, uml):
        shutil.rmtree(d, ignore_errors=True)
    with open(os.path.join(directory, "prepare.log"), "w", encoding="utf-8") as log:
        def run(*command, **more):
            subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)

        _apt_tree(directory)
        environment = dict(os.environ, APT_CONFIG=apt + "/apt.conf", DEBIAN_FRONTEND="noninteractive")
        run("apt-get", "-q", "update", env=environment)
        run("apt-get", "-q", "-y", "--download-only", "install", *PACKAGES, env=environment)
        os.makedirs(uml)
        run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "user-mode-linux", cwd=uml)
        run("dpkg-deb", "-x", os.path.join(uml, sorted(os.listdir(uml))[-1]), uml)
        archives = sorted(f for f in os.listdir(apt + "/archives") if f.endswith(".deb"))
        for d in ("bin", "sbin", "lib", "lib64"):  # merged /usr
            os.makedirs(os.path.join(root, "usr", d), exist_ok=True)
            os.symlink("usr/" + d, os.path.join(root, d))
        for deb in archives:
            run("dpkg-deb", "-x", os.path.join(apt, "archives", deb), root)
    _trim(root)
    modules = os.path.join(uml, "usr/lib/uml/modules")
    release = sorted(os.listdir(modules))[-1]
    into = os.path.join(root, "usr/lib/modules", release)
    shutil.copytree(os.path.join(modules, release), into, symlinks=True)
    for d in MODULES_DROPPED:
        shutil.rmtree(os.path.join(into, d), ignore_errors=True)
    shutil.rmtree(apt)
    with open(os.path.join(directory, "versions.new"), "w", encoding="utf-8") as f:
        f.write("user-mode-linux %s\n" % release)
        f.writelines(deb + "\n" for deb in archives if deb.startswith(("frr_", "charon-systemd_", "iproute2_", "iptables_")))
    os.rename(os.path.join(directory, "versions.new"), os.path.join(directory, "versions"))


def _trim(root):
    for d in ("proc", "sys", "dev", "run", "tmp", "var", "host", "root", "etc"):
        os.makedirs(os.path.join(root, d), exist_ok=True)
    for name in set(os.listdir(os.path.join(root, "etc"))) - ETC_KEPT:
        path = os.path.join(root, "etc", name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    for d in ("doc", "man", "locale", "info"):
        shutil.rmtree(os.path.join(root, "usr/share", d), ignore_errors=True)
    for link, target in (("awk", "mawk"), ("sh", "bash")):
        if not os.path.lexists(os.path.join(root, "usr/bin", link)):
            os.symlink(target, os.path.join(root, "usr/bin", link))
