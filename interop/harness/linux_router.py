"""A Linux DMVPN router: one user-mode Linux with kernel mGRE and ESP, strongSwan's IKEv1, FRR's nhrpd and eigrpd or ospfd.

Its Ethernet is a tap device in a network namespace that the caller made; user-mode Linux itself runs in that namespace too, so that
nothing of the router's traffic can be anywhere else.  Commands go in by a FIFO on its serial line, results come back as files.
"""
import base64
import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid

from .cases import Failed


class RouterDown(Failed):
    """The router did not start, or ended."""


class LinuxRouter:
    """One router, from `start` to `stop`."""

    def __init__(self, image, config, directory, namespace, tap):
        self.image, self.config, self.namespace, self.tap = image, config, namespace, tap
        self.directory = os.path.abspath(directory)
        self.process = None

    # ---------------------------------------------------------------- life
    def __enter__(self):
        self.launch()
        return self

    def __exit__(self, *_):
        self.stop()

    def launch(self):
        """Starts it and does not wait: several routers boot at the same time."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory + "/x")
        os.makedirs(self.directory + "/log")
        os.chmod(self.directory + "/log", 0o777)
        for name, text in self.config.files().items():
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as f:
                f.write(text)
        os.mkfifo(self.directory + "/tty.in")
        os.mkfifo(self.directory + "/tty.out")
        tty = [os.open(self.directory + "/tty." + d, os.O_RDWR) for d in ("in", "out")]
        mac = "02:00:" + ":".join("%02x" % int(n) for n in self.config.nbma_address.split("."))
        command = ["ip", "netns", "exec", self.namespace, self.image.kernel, "mem=%dM" % self.config.memory,
                   "umid=%s-%d" % (self.config.name, os.getpid()), "root=/dev/root", "rootfstype=hostfs",
                   "rootflags=" + self.image.root, "ro", "init=" + self.image.init, "router.state=" + self.directory, "con=null",
                   "con0=null,fd:1", "ssl=null", "ssl0=fd:%d,fd:%d" % tuple(tty), "console=tty0", "quiet", "loglevel=4",
                   "vec0:transport=tap,ifname=%s,depth=64,gro=0,mac=%s" % (self.tap, mac)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.directory,
                       "TMPDIR": "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp"}
        with open(self.directory + "/console", "wb") as console:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=tty,
                                            env=environment, cwd=self.directory, start_new_session=True)
        for fd in tty:
            os.close(fd)

    def wait_ready(self, timeout=90):
        """Returns when its daemons run and it takes commands."""
        end = time.monotonic() + timeout
        while not os.path.exists(self.directory + "/ready"):
            if self.process.poll() is not None:
                raise RouterDown("%s ended while starting:\n%s" % (self.config.name, self.console()[-2000:]))
            if time.monotonic() > end:
                raise RouterDown("%s not ready after %d s:\n%s" % (self.config.name, timeout, self.console()[-2000:]))
            time.sleep(0.05)
        # What the init could not do, it says and goes on.
        if failed := re.findall(r"^\[router [\d.]+\] (.*failed|cannot .*|no .*|some .*)$", self.console(), re.MULTILINE):
            raise RouterDown("%s: %s" % (self.config.name, "; ".join(failed)))

    def start(self, timeout=90):
        self.launch()
        self.wait_ready(timeout)

    def stop(self):
        """Halts it; nothing inside ends in an orderly way, as with a power cut."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self._halt()
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                # User-mode Linux runs its processes as children of its own, in its own session.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(timeout=10)
        self.process = None

    def _halt(self):
        """One command to the management console of user-mode Linux."""
        for path in glob.glob(self.directory + "/.uml/*/mconsole"):
            answer = self.directory + "/mconsole.answer"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.settimeout(2)
                try:
                    s.bind(answer)
                    s.sendto(struct.pack("<III512s", 0xCAFEBABE, 2, len(b"halt"), b"halt"), path)
                    s.recv(4096)
                except OSError:
                    pass
                finally:
                    if os.path.exists(answer):
                        os.unlink(answer)

    # ---------------------------------------------------------------- inside
    def run(self, command, timeout=30, check=True):
        """Runs a shell command inside and returns its output (0.5 to 1 s of overhead)."""
        name = uuid.uuid4().hex[:12]
        line = "%s %s\n" % (name, base64.b64encode(command.encode()).decode())
        # A line of the serial line's discipline is at most 4096 octets.
        assert len(line) < 4000, "command too long"
        result = self.directory + "/x/" + name
        fd = os.open(self.directory + "/tty.in", os.O_RDWR)
        try:
            os.write(fd, line.encode())
            end = time.monotonic() + timeout
            while not os.path.exists(result + ".rc"):
                if self.process.poll() is not None:
                    raise RouterDown("%s ended" % self.config.name)
                if time.monotonic() > end:
                    raise RouterDown("%s: no result of %r after %d s" % (self.config.name, command, timeout))
                time.sleep(0.02)
        finally:
            os.close(fd)
        status, output, errors = (_read(result + e) for e in (".rc", ".out", ".err"))
        if check and int(status) != 0:
            raise RouterDown("%s: %r: exit status %s: %s%s" % (self.config.name, command, status.strip(), output, errors))
        return output

    def show(self, command):
        """The text of a `show` of FRR."""
        return self.run("vtysh -c '%s' 2>/dev/null" % command)

    def show_json(self, command):
        """The document of a `show … json` of FRR; empty when a daemon does not answer yet."""
        text = self.show(command)
        return json.loads(text) if text.strip() else {"table": []}

    def console(self):
        return _read(self.directory + "/console")

    def log(self, daemon):
        """What a daemon (charon, nhrpd, eigrpd…) logged so far."""
        path = "%s/log/%s.log" % (self.directory, daemon)
        return _read(path) if os.path.exists(path) else ""


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()
