"""The captures to compare, by name, and every key recorded with them."""

import json
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared" / "captures"

# Names of Wireshark's tables, by the transform and key lengths of a quick mode and by the kernel's.
ESP_CIPHERS = {
    "3": "TripleDES-CBC [RFC2451]",
    "12": "AES-CBC [RFC3602]",
    "20": "AES-GCM with 16 octet ICV [RFC4106]",
    "cbc(des3_ede)": "TripleDES-CBC [RFC2451]",
    "cbc(aes)": "AES-CBC [RFC3602]",
}
ESP_INTEGRITY = {
    0: "NULL",
    16: "HMAC-MD5-96 [RFC2403]",
    20: "HMAC-SHA-1-96 [RFC2404]",
    32: "HMAC-SHA-256-128 [RFC4868]",
    48: "HMAC-SHA-384-192 [RFC4868]",
    64: "HMAC-SHA-512-256 [RFC4868]",
}


def given(folders):
    """Each capture below these folders: its name, from the folder's own on, and its path."""
    found = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise SystemExit(f"{folder}: no such folder")
        for path in sorted(folder.rglob("*.pcap*")):
            name = folder.resolve().name / path.relative_to(folder)
            found[str(name.with_suffix(""))] = path
    return found


def shared():
    """The recordings of this project as they are kept beside the repository, if they are there."""
    folders = [SHARED / "charon", SHARED / "linux"]
    return given(folders) if all(folder.is_dir() for folder in folders) else None


def copies():
    """Those that the repository's own tests have copies of, under the names of the recordings."""
    examples = REPOSITORY / "examples/tests/data"
    found = given([examples / "charon"])
    found["linux/02-ipsec-phase1/wire-hub"] = examples / "linux/wire.pcap"
    found["linux/06-nat-spoke-ipsec/wire-hub"] = examples / "linux-nat/wire.pcap"
    for path in sorted((REPOSITORY / "nhrp/tests/data/linux").glob("*.pcap")):
        found["linux/" + path.stem.replace(".", "/")] = path
    return found


class Keys:
    """Lines of Wireshark's two key tables. Cookies and SPIs are random: one table does for all."""

    def __init__(self):
        self.isakmp, self.esp = {}, {}

    def read(self, captures):
        """The keys of the repository's known answers, and those beside the captures."""
        for path in sorted((REPOSITORY / "isakmp/tests/data/charon").glob("*.kat")):
            self._known_answers(path)
        for folder in sorted({path.parent for path in captures.values()}):
            for path in sorted(folder.glob("keys.json")):
                self._recorded(json.loads(path.read_text()))
            self._wireshark(folder)
        # As a program of ours writes them beside its capture.
        for path in captures.values():
            self._wireshark(path.with_suffix(".keys"))
        return self

    def write(self, folder):
        (folder / "ikev1_decryption_table").write_text("".join(self.isakmp.values()))
        (folder / "esp_sa").write_text("".join(self.esp.values()))

    def _add_isakmp(self, cookie, key):
        self.isakmp[cookie] = f"{cookie},{key}\n"

    def _add_esp(self, spi, cipher, key, integrity_key):
        integrity = ESP_INTEGRITY[len(integrity_key) // 2]
        integrity_key = integrity_key and "0x" + integrity_key
        fields = "IPv4", "*", "*", f"0x{spi:08x}", ESP_CIPHERS[cipher], "0x" + key, integrity, integrity_key
        self.esp[spi] = ",".join(f'"{field}"' for field in fields) + "\n"

    def _known_answers(self, path):
        """`isakmp/tests/data/charon/NAME.kat`: `[section]` and `key = value` lines."""
        section, values = "", {}
        for line in path.read_text().splitlines() + ["[end]"]:
            if line.startswith("["):
                self._known_section(section, values)
                section, values = line.strip("[]"), {}
            elif " =" in line:
                key, value = line.split(" =", 1)
                values[key] = value.strip()

    def _known_section(self, section, values):
        if section.startswith("ike_sa") and values.get("encryption_key"):
            self._add_isakmp(values["cky_i"], values["encryption_key"])
        if section.startswith("child_sa"):
            for way in "initiator_to_responder", "responder_to_initiator":
                spi, key, integrity_key = (
                    values[f"{way}.{name}"] for name in ("spi", "encryption", "integrity")
                )
                self._add_esp(int(spi, 16), values["transform"], key, integrity_key)

    def _recorded(self, keys):
        """`keys.json`: what charon logged and the kernel listed."""
        for cookie, key in keys["ikev1_decryption_table"].items():
            self._add_isakmp(cookie, key)
        for spi, sa in keys["esp"].items():
            cipher, key = sa["enc"]
            self._add_esp(int(spi, 16), cipher, key[2:], sa["auth"][1][2:])

    def _wireshark(self, folder):
        """Wireshark's own tables, in the form in which both readers take them."""
        for name, table, field in ("ikev1_decryption_table", self.isakmp, 0), ("esp_sa", self.esp, 3):
            path = folder / name
            for line in path.read_text().splitlines() if path.is_file() else []:
                key = line.split(",")[field].strip('"')
                table[int(key, 16) if field else key] = line + "\n"
