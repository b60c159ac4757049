"""strongSwan's charon in a namespace, driven through swanctl."""
import pathlib
import re
import shutil
import signal
import tempfile
from dataclasses import dataclass, field

from .cases import Failed, eventually
from .namespaces import Namespace
from .process import Process, run

PACKAGES = ("strongswan-charon", "strongswan-swanctl", "libstrongswan-standard-plugins", "libcharon-extra-plugins", "gcc", "libc6-dev")
PROGRAM = "/usr/lib/ipsec/charon"
PLUGINS = "random nonce aes md5 sha1 sha2 hmac kdf gcm gmp openssl pem x509 pubkey kernel-netlink socket-default counters vici"
SHIM = pathlib.Path(__file__).with_name("null_sad.c")


@dataclass
class Peer:
    """How charon is configured: one connection `peer` with one child `gre`, in swanctl's own terms."""

    local: str
    remote: str = "%any"
    ike: str = "3des-sha1-modp768"
    esp: str = "3des-sha1"
    key: str = "cisco123"
    mode: str = "transport"
    local_ts: str = "dynamic[gre]"
    remote_ts: str = "dynamic[gre]"
    id: str = ""
    peer_id: str = "%any"
    connection: dict[str, str] = field(default_factory=dict)
    child: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        connection = {"version": "1", "mobike": "no", "local_addrs": self.local, "remote_addrs": self.remote, "proposals": self.ike,
                      "dpd_delay": "0s", "reauth_time": "24h", "over_time": "0s", "rand_time": "0s", "unique": "no", **self.connection}
        # Nothing in this kernel would use a policy, and without them raw sockets see GRE and ESP.
        child = {"mode": self.mode, "local_ts": self.local_ts, "remote_ts": self.remote_ts, "esp_proposals": self.esp,
                 "rekey_time": "1h", "rand_time": "0s", "policies": "no", **self.child}
        lines = lambda section: "\n".join(f"  {key} = {value}" for key, value in section.items())  # noqa: E731
        return (f"connections {{ peer {{\n{lines(connection)}\n  local {{\n auth = psk\n id = {self.id or self.local}\n }}\n"
                f"  remote {{\n auth = psk\n id = {self.peer_id}\n }}\n  children {{ gre {{\n{lines(child)}\n  }} }}\n}} }}\n"
                f"secrets {{ ike-psk {{ secret = \"{self.key}\" }} }}\n")


SETTINGS = """charon {{
  load = {plugins}
  retransmit_timeout = 1
  retransmit_base = 1.5
  retransmit_tries = 4
  dos_protection = no
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  install_routes = no
  install_virtual_ip = no
  plugins {{
    vici {{ socket = {vici} }}
    kernel-netlink {{ xfrm_acq_expires = {spi_lifetime} }}
  }}
  filelog {{ main {{
    path = {log}
    default = 4
    job = 1
    time_format = %F %T
    ike_name = yes
    flush_line = yes
    append = yes
  }} }}
}}
"""


class Charon:
    """Its settings, connection and log are in `logs`, named `name`; the log has the keys (level 4)."""

    def __init__(self, namespace: Namespace, peer: Peer, logs: pathlib.Path, name: str = "charon"):
        self.namespace, self.peer, self.name = namespace, peer, name
        self.log = logs / f"{name}.log"
        self._logs = logs
        self._process: Process | None = None
        # Seconds. The kernel forgets an SPI that it allocated and that no SA took, and none does where `null_sad` keeps SAs from being
        # installed; charon takes that for the end of the CHILD_SA. Its default is the time of all retransmissions, here 13 s.
        self.spi_lifetime = 24 * 3600
        # Socket names have at most 107 octets, and a log directory may be longer.
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="interop-charon-"))

    @property
    def _vici(self) -> str:
        return f"unix://{self._directory}/vici"

    def start(self):
        directory, shim = self._directory, self._directory / "null_sad.so"
        (directory / "run").mkdir(exist_ok=True)
        if not shim.exists():
            run("gcc", "-shared", "-fPIC", "-O1", "-o", shim, SHIM, "-ldl")
        settings = self._logs / f"{self.name}.conf"
        settings.write_text(SETTINGS.format(plugins=PLUGINS, vici=self._vici, log=self.log, spi_lifetime=self.spi_lifetime))
        # charon writes its process id below /run, which several of them cannot share; the mount is `ip netns exec`'s own.
        start = 'mount --bind "$1" /run && LD_PRELOAD="$2" exec "$3"'
        self._process = Process("sh", "-c", start, "charon", directory / "run", shim, PROGRAM, log=self._logs / f"{self.name}.out",
                                netns=self.namespace.name, env={"STRONGSWAN_CONF": str(settings)})
        try:
            eventually("charon's control socket", self._ready, 10)
            self.load()
        except BaseException:
            self.kill()
            raise
        return self

    def _ready(self) -> bool:
        if not self._process.alive():
            raise Failed(f"charon ended: {self._process.text().strip()[-300:]}")
        try:
            return bool(self.swanctl("--version"))
        except Failed:
            return False

    def load(self):
        """(Re)read the connection, after `peer` was changed too."""
        file = self._logs / f"{self.name}.swanctl"
        file.write_text(self.peer.text())
        self.swanctl("--load-all", "--noprompt", "--file", file)

    def swanctl(self, command: str, *words, seconds: float = 20) -> str:
        return run("swanctl", command, *words, "--uri", self._vici, seconds=seconds)

    def initiate(self, seconds: float = 15):
        self.swanctl("--initiate", "--child", "gre", "--timeout", int(seconds), seconds=seconds + 2)

    def try_initiate(self, seconds: float = 5) -> str:
        """What it complains of while it does not get a CHILD_SA."""
        try:
            self.initiate(seconds)
        except Failed as complaint:
            return str(complaint)
        raise Failed("charon got a CHILD_SA that it should not have")

    def terminate(self, what: str):
        """`ike` or `child`, with its delete."""
        self.swanctl("--terminate", f"--{what}", {"ike": "peer", "child": "gre"}[what], "--timeout", "5")

    def rekey(self, what: str):
        words = ("--ike", "peer", "--reauth") if what == "ike" else ("--child", "gre")
        self.swanctl("--rekey", *words)

    def sas(self) -> list[dict]:
        """`swanctl --list-sas`: the IKE_SAs, each with a list `children`."""
        found = []
        for line in self.swanctl("--list-sas", "--raw").splitlines():
            if line.startswith("list-sa event "):
                for sa in _raw(line.removeprefix("list-sa event ")).values():
                    sa["children"] = list(sa.pop("child-sas", {}).values())
                    found.append(sa)
        return found

    def children(self) -> list[dict]:
        return [child for sa in self.sas() for child in sa["children"] if child.get("state") == "INSTALLED"]

    def up(self) -> bool:
        """One IKE_SA is established, with its CHILD_SA."""
        return any(sa["state"] == "ESTABLISHED" and any(child["state"] == "INSTALLED" for child in sa["children"]) for sa in self.sas())

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def said(self, pattern: str) -> bool:
        return re.search(pattern, self.text(), re.MULTILINE) is not None

    def alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def stop(self):
        """With its deletes."""
        self._process.end(signal.SIGTERM)

    def kill(self):
        """Without a word."""
        self._process.end(signal.SIGKILL)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.alive():
            self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def _raw(text: str) -> dict:
    """vici's messages as swanctl prints them with --raw: `{key=value key=[a b] key {…}}`."""
    tokens = iter(re.findall(r"[{}]|[^\s{}=\[\]]+=\[[^\]]*\]|[^\s{}=]+=[^\s{}]*|[^\s{}=]+", text))

    def section() -> dict:
        values, key = {}, ""
        for token in tokens:
            if token == "}":
                break
            if token == "{":
                values[key] = section()
            elif "=" in token:
                name, _, value = token.partition("=")
                values[name] = value
            else:
                key = token
        return values
    return section().get("", {})
