"""FRR's eigrpd or ospfd in the network namespace of a daemon of ours, on its tunnel: the routing protocol that the guide runs over DMVPN.

FRR comes from the Linux router's image, so that nothing is installed; the daemons' `/run` and `/etc` are in a mount namespace."""
import os
import shutil
import signal
import subprocess
import time

from . import linux_router_config

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "linux_router_frr.sh")


# The kernel drops its nexthop objects, and the routes that use them, when the line goes down. zebra 10.7 puts the objects back when
# it comes up again soon, the routes only if they are announced otherwise than before: after a flap of 0.1 s none is left.
ZEBRA_CONF = "no zebra nexthop kernel enable\n"


class Frr:
    """zebra and one routing daemon, from `start` to `stop`."""

    def __init__(self, image, directory, namespace):
        self.image, self.namespace = image, namespace
        self.directory = os.path.abspath(directory)
        self.process = None

    def start(self, protocol, tunnel, loopbacks, interface="Tunnel0", timeout=30):
        """`protocol` is "eigrp" or "ospf"; `tunnel` the tunnel's address with its prefix length."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory + "/log")
        os.chmod(self.directory + "/log", 0o777)
        files = {"zebra.conf": ZEBRA_CONF, "vtysh.conf": "",
                 protocol + "d.conf": linux_router_config.routing(protocol, interface, tunnel, loopbacks)}
        for name, text in files.items():
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as f:
                f.write(text)
        command = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--propagation", "private", "sh", SCRIPT,
                   self.image.root, self.directory, protocol + "d"]
        with open(self.directory + "/out", "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        end = time.monotonic() + timeout
        while not os.path.exists(self.directory + "/ready"):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                with open(self.directory + "/out", encoding="utf-8", errors="replace") as f:
                    raise RuntimeError("FRR did not start in %s: %s" % (self.namespace, f.read()))
            time.sleep(0.05)

    def show(self, command):
        """The text of a `show` of FRR; empty when vtysh cannot reach a daemon."""
        inside = ["nsenter", "--target", str(self.process.pid), "--mount", "--net", "chroot", self.image.root, "vtysh", "-c", command]
        return subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=False, text=True).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(timeout=10)
            self.process = None
