"""The life of a security association with charon: deletes, dead peers, re-keying, restarts, fragments."""
import socket
import struct

from harness.capture import Capture
from harness.cases import ALL, CI, add, check, eventually
from harness.charon import PACKAGES
from harness.strongswan import SUITES, Laboratory, Options

AES = SUITES["aes256-sha256-modp2048"]


def running(bench, options: Options) -> Laboratory:
    lab = Laboratory(bench, options).start()
    lab.up()
    lab.traffic(1)
    return lab


def traced(lab: Laboratory, *patterns: str):
    for pattern in patterns:
        lab.router.wait_line(pattern, 5)


# Deletes

def we_clear(bench, we_initiate: bool):
    """Our delete of both reaches charon. An initiator comes back by itself, as IOS's tunnel protection does."""
    lab = running(bench, Options(we_initiate=we_initiate))
    before = lab.their_spis()
    lab.router.command("clear", "crypto", "session")
    eventually("charon lets the old CHILD_SA go", lambda: not before & lab.their_spis())
    if we_initiate:
        lab.up()
        lab.traffic(1)
    else:
        eventually("charon has no IKE_SA left", lambda: not lab.charon.sas())
        lab.nothing_left()


def they_delete(bench, what: str):
    """charon deletes; our responder has nothing left of it, and the next negotiation works."""
    lab = running(bench, Options(we_initiate=False))
    lab.charon.terminate(what)
    if what == "ike":
        lab.nothing_left()
    else:
        eventually("our IPsec SA is gone", lambda: not lab.our_spis())
    traced(lab, "peer deleted it")
    lab.charon.initiate()
    lab.up()
    lab.traffic(1)


def they_delete_ours(bench, what: str):
    """charon, the responder, deletes; our initiator comes back by itself."""
    lab = running(bench, Options())
    before = lab.our_spis()
    lab.charon.terminate(what)
    eventually("our old IPsec SA is gone", lambda: not before & lab.our_spis())
    lab.up()
    lab.traffic(1)


for we in (True, False):
    add(f"strongswan/life/delete/by-us/{'initiator' if we else 'responder'}", we_clear, we, sets=(CI, ALL), needs=PACKAGES)
for what in ("child", "ike"):
    add(f"strongswan/life/delete/by-charon/{what}/initiator", they_delete, what, sets=(CI, ALL), needs=PACKAGES)
    add(f"strongswan/life/delete/by-charon/{what}/responder", they_delete_ours, what, sets=(CI, ALL), needs=PACKAGES)


# Dead peer detection (RFC 3706)

def dpd_by_charon(bench, we_initiate: bool):
    """charon asks, we answer: nothing happens to the SA."""
    lab = Laboratory(bench, Options(we_initiate=we_initiate))
    lab.charon.peer.connection |= {"dpd_delay": "1s", "dpd_timeout": "4s"}
    lab.start().up()
    before = lab.their_spis()
    eventually("charon got an answer", lambda: lab.charon.said(r"parsed INFORMATIONAL_V1 request \d+ \[ HASH N\(DPD_ACK\) \]"), 8)
    check(lab.their_spis() == before, "the CHILD_SA changed")
    lab.traffic(1)


def dpd_by_us(bench, we_initiate: bool):
    """We ask, charon answers; when it dies we notice, forget it, and come back when it does."""
    lab = Laboratory(bench, Options(we_initiate=we_initiate, lines="crypto isakmp keepalive 10 2 periodic\n"))
    lab.start().up()
    eventually("charon was asked and answered", lambda: lab.charon.said(r"generating INFORMATIONAL_V1 request \d+ \[ HASH N\(DPD_ACK\) \]"), 15)
    before = lab.our_spis()
    lab.charon.kill()
    eventually("the dead peer is noticed", lambda: not before & lab.our_spis(), 40)
    lab.charon.start()
    if not we_initiate:
        lab.charon.initiate()
    lab.up(20)
    lab.traffic(1)


for we in (True, False):
    role = "initiator" if we else "responder"
    add(f"strongswan/life/dpd/by-charon/{role}", dpd_by_charon, we, sets=(CI, ALL), needs=PACKAGES)
    add(f"strongswan/life/dpd/by-us/{role}", dpd_by_us, we, sets=(ALL,), limit=100, needs=PACKAGES)


# Re-keying

def rekey(bench, we_initiate: bool, what: str):
    """charon re-keys, under traffic in both directions, and not a packet is lost."""
    lab = running(bench, Options(AES, pfs=True, we_initiate=we_initiate))
    before = lab.their_spis()
    sas = {sa["uniqueid"] for sa in lab.charon.sas()}
    ping = bench.enter(lab.ping_beside(60))
    lab.charon.rekey(what)
    if what == "child":
        eventually("a new CHILD_SA", lambda: lab.their_spis() - before)
        eventually("our side has it too", lambda: lab.their_spis() - before <= lab.our_spis())
    else:
        eventually("a new IKE_SA", lambda: {sa["uniqueid"] for sa in lab.charon.sas()} - sas)
    lab.all_answered(ping, 60)
    lab.traffic(1)


for we in (True, False):
    for what in ("child", "ike"):
        add(f"strongswan/life/rekey/by-charon/{what}/{'initiator' if we else 'responder'}", rekey, we, what, sets=(CI, ALL), needs=PACKAGES)


def rekey_by_us(bench, we_initiate: bool, what: str):
    """We re-key in a lifetime of one minute, under traffic in both directions that goes on over its end: who initiated does so 30 to 15 s
    before the end, who answered 8 to 4 s."""
    minute = {"child": {"profile": " set security-association lifetime seconds 60\n"},
              "ike": {"lines": "crypto isakmp policy 1\n lifetime 60\n"}}[what]
    lab = running(bench, Options(AES, pfs=True, we_initiate=we_initiate, **minute))
    before = lab.their_spis()
    sas = {sa["uniqueid"] for sa in lab.charon.sas()}
    ping = bench.enter(lab.ping_beside(650))
    if what == "child":
        eventually("a new CHILD_SA", lambda: lab.their_spis() - before, 58)
    else:
        eventually("a new IKE_SA", lambda: {sa["uniqueid"] for sa in lab.charon.sas()} - sas, 58)
    lab.all_answered(ping, 650)
    lab.traffic(1)


# The responder of a phase 1 negotiates anew only when it needs one.
for what, we in (("child", True), ("child", False), ("ike", True)):
    add(f"strongswan/life/rekey/by-us/{what}/{'initiator' if we else 'responder'}", rekey_by_us, we, what, sets=(ALL,), limit=100, needs=PACKAGES)


# Restarts without memory

def charon_restarts(bench, we_initiate: bool, how: str):
    lab = running(bench, Options(we_initiate=we_initiate, lines="crypto isakmp keepalive 10 2 periodic\n"))
    before = lab.our_spis()
    lab.charon.kill() if how == "killed" else lab.charon.stop()
    lab.charon.start()
    if not we_initiate:
        lab.charon.initiate()
    eventually("our old IPsec SA is gone", lambda: not before & lab.our_spis(), 40)
    lab.up(20)
    lab.traffic(1)


def we_restart(bench, we_initiate: bool, how: str):
    lab = Laboratory(bench, Options(we_initiate=we_initiate))
    lab.charon.peer.connection |= {"dpd_delay": "1s", "dpd_timeout": "4s", "unique": "replace"}
    lab.charon.peer.child |= {"dpd_action": "restart", "close_action": "none"} if not we_initiate else {}
    lab.start().up()
    before = lab.their_spis()
    lab.router.kill() if how == "killed" else lab.router.stop()
    lab.router.start()
    if not we_initiate and how == "stopped":
        lab.charon.initiate()
    eventually("charon's old CHILD_SA is gone", lambda: not before & lab.their_spis(), 20)
    lab.up(20)
    lab.traffic(1)


for we in (True, False):
    for how in ("killed", "stopped"):
        role = "initiator" if we else "responder"
        add(f"strongswan/life/restart/charon/{how}/{role}", charon_restarts, we, how, sets=(ALL,), limit=100, needs=PACKAGES)
        add(f"strongswan/life/restart/ours/{how}/{role}", we_restart, we, how, sets=(ALL,), limit=60, needs=PACKAGES)


# Fragments

def fragmentation(bench, we_initiate: bool):
    """charon fragments whatever it can."""
    options = Options(AES, we_initiate=we_initiate, lines="crypto isakmp fragmentation\n")
    lab = Laboratory(bench, options)
    lab.charon.peer.connection |= {"fragmentation": "force"}
    lab.start().up(15)
    lab.traffic(1)


for we in (True, False):
    add(f"strongswan/life/fragmentation/forced/{'initiator' if we else 'responder'}", fragmentation, we, sets=(CI, ALL), needs=PACKAGES)


CIPHERS = ("3des", "aes", "aes 192", "aes 256")
HASHES = ("md5", "sha", "sha256", "sha384", "sha512")


def our_fragments(bench, we_initiate: bool):
    """A first quick mode message of ours with 20 proposals and a large group; as responder of phase 1 we send it when we re-key."""
    sets = {f"T{number}": f"esp-{cipher} esp-{hash_}-hmac" for number, (cipher, hash_) in enumerate((c, h) for c in CIPHERS for h in HASHES)}
    lines = "crypto isakmp fragmentation\n" + "".join(f"crypto ipsec transform-set {name} {words}\n mode transport\n" for name, words in sets.items())
    profile = f" set transform-set {' '.join(sets)}\n set pfs group16\n" + ("" if we_initiate else " set security-association lifetime seconds 60\n")
    lab = Laboratory(bench, Options(AES, we_initiate=we_initiate, lines=lines, profile=profile))
    lab.charon.peer.esp = "aes256-sha512-modp4096"
    wire = bench.enter(Capture(lab.router.namespace, "eth0", bench.logs / "wire.pcap"))
    lab.start().up(15)
    if not we_initiate:
        before = lab.their_spis()
        # Who answered waits till 8 to 4 s before the end.
        eventually("a new CHILD_SA", lambda: lab.their_spis() - before, 58)
        check(lab.charon.said(r"parsed QUICK_MODE request"), "charon began the new quick mode")
        eventually("our side has it too", lambda: lab.their_spis() - before <= lab.our_spis())
    lab.traffic(1)
    ours = lab.options.spoke if we_initiate else lab.options.hub
    fragments = [packet for packet in wire.packets() if is_fragment(packet, ours)]
    check(len(fragments) >= 2, f"we sent {len(fragments)} fragments")
    check(max(map(len, fragments)) <= 1280, "a fragment is longer than 1280 octets")
    check(not any(packet[6] & 0x3f or packet[7] for packet in fragments), "IP fragmented as well")
    check(lab.charon.said(r"received fragment #\d+, reassembled fragmented IKE message"), "charon reassembled nothing")


def is_fragment(packet: bytes, source: str) -> bool:
    """Whether it is an IKE message that consists of a Fragment payload (132)."""
    header = (packet[0] & 15) * 4
    if packet[9] != 17 or socket.inet_ntoa(packet[12:16]) != source:
        return False
    ports, message = struct.unpack_from(">HH", packet, header), packet[header + 8:]
    marker = 4 if 4500 in ports and message[:4] == bytes(4) else 0
    return bool({500, 4500} & set(ports)) and len(message) >= marker + 28 and message[marker + 16] == 132


add("strongswan/life/fragmentation/ours/initiator", our_fragments, True, sets=(CI, ALL), needs=PACKAGES)
add("strongswan/life/fragmentation/ours/responder", our_fragments, False, sets=(ALL,), limit=120, needs=PACKAGES)
