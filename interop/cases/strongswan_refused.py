"""What cannot become a tunnel: the exact lines and event on our side in either role, and nothing left behind at either end."""
import re
from dataclasses import dataclass, field

from harness.cases import ALL, CI, add, check, eventually
from harness.charon import PACKAGES
from harness.strongswan import HUB, SPOKE, Laboratory, Options

TABLES = ("peers", "places", "sessions", "inbound", "timers")


@dataclass(frozen=True)
class Refusal:
    """charon is set to `peer` and `child`, we to `options`. `lines`: patterns of whole lines that we trace, in this order."""

    lines: tuple[str, ...]
    peer: dict = field(default_factory=dict)
    child: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    # Whether phase 1 comes up and quick mode is what is refused.
    phase_2: bool = False
    # Where we initiate, the reason in the event; where charon does, what it says of it.
    says: str = ""
    # Seconds until it is over.
    lasts: float = 5


def in_order(text: str, patterns: tuple[str, ...]):
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.MULTILINE).search(text, at)
        check(found, f"no line `{pattern}`" + (" at its place" if re.search(pattern, text, re.MULTILINE) else ""))
        at = found.end()
    return True


def events(lab: Laboratory) -> list[tuple[str, str]]:
    """What our daemon told but for its interface."""
    return [(event["event"], event.get("reason", "")) for event in lab.router.show("events") if not event["event"].startswith("interface_")]


def left(lab: Laboratory) -> dict:
    """All that our side knows of a peer, and how many timers it has; there are no other keys in it when there is nothing."""
    tables = lab.router.show("counters")["tables"]
    found = {name: tables[name] for name in TABLES if tables[name]}
    for command in ("crypto isakmp sa detail", "crypto ipsec sa detail", "crypto session detail", "ip nhrp"):
        if rows := lab.router.show(command):
            found[command] = rows
    return found


def nothing_left(lab: Laboratory, seconds: float):
    def nothing():
        ours, theirs = left(lab), lab.charon.sas()
        check(not ours and not theirs, f"we have {ours}, charon {theirs}")
        return True
    eventually("nothing left at either end", nothing, seconds, 0.2)


def only_phase_1(lab: Laboratory):
    """An ISAKMP SA is up, under which the refusal was told, and nothing beside it."""
    states = [sa["state"] for sa in lab.router.show("crypto isakmp sa detail")]
    check(states == ["QM_IDLE"], f"our ISAKMP SAs: {states}")
    check(not lab.our_spis(), "we have an IPsec SA")
    theirs = [(sa["state"], [child["state"] for child in sa["children"]]) for sa in lab.charon.sas()]
    check(theirs == [("ESTABLISHED", [])], f"charon's SAs: {theirs}")


def ours(bench, refusal: Refusal):
    """We initiate and charon refuses. We go on trying, as IOS does, until the tunnel is shut down."""
    lab = Laboratory(bench, Options(**refusal.options))
    lab.change(refusal.peer, refusal.child)
    lab.start_both()
    failed = eventually("the event", lambda: events(lab), refusal.lasts + 5)
    check(failed == [("negotiation_failed", refusal.says)], f"our events: {failed}")
    in_order(lab.router.text(), refusal.lines)
    # An ISAKMP SA under which nothing was ever agreed is given up with what was refused, and charon is told.
    check(not lab.router.show("crypto isakmp sa detail"), "there still is an ISAKMP SA")
    if refusal.phase_2:
        eventually("charon has heard of it", lambda: not lab.charon.sas(), 2, 0.1)
    lab.router.command("shutdown", "Tunnel0")
    # charon keeps a half-open IKE_SA for 30 s.
    nothing_left(lab, 35)
    check(not lab.gre.seen.refused and not lab.gre.seen.echo_requests, "ESP came without an SA")


def theirs(bench, refusal: Refusal):
    """charon initiates and we refuse. Of a peer that is not authenticated or has no SA there is no event."""
    lab = Laboratory(bench, Options(we_initiate=False, **refusal.options))
    lab.change(refusal.peer, refusal.child)
    lab.start_both()
    check(not left(lab), f"before anybody came we have {left(lab)}")
    lab.charon.try_initiate()
    check(lab.charon.said(refusal.says), f"charon was not told: {refusal.says}")
    if refusal.phase_2:
        only_phase_1(lab)
        lab.charon.terminate("ike")
    nothing_left(lab, refusal.lasts)
    in_order(lab.router.text(), refusal.lines)
    check(not events(lab), f"our events: {events(lab)}")


SAYS = {"PROPOSAL_NOT_CHOSEN": "peer refused: NO-PROPOSAL-CHOSEN", "INVALID_ID_INFORMATION": "peer refused: INVALID-ID-INFORMATION"}


def processed(notification: str) -> tuple[str, ...]:
    return (r"^ISAKMP:\(1001\):Old State = IKE_I_MM6  New State = IKE_P1_COMPLETE$",
            r"^ISAKMP:\(1001\):Old State = IKE_QM_READY  New State = IKE_QM_I_QM1$",
            rf"^ISAKMP:\(1001\): processing NOTIFY {notification} protocol 3$",
            rf"^ISAKMP:\(1001\):deleting node -?\d+ error TRUE reason \"{SAYS[notification]}\"$")


def told(reason: str, notification: str) -> tuple[str, ...]:
    return (r"^ISAKMP:\(1001\):Old State = IKE_R_MM5  New State = IKE_P1_COMPLETE$",
            rf"^ISAKMP:\(1001\): message from {re.escape(SPOKE)} dropped: {reason}$",
            rf"^ISAKMP:\(1001\): sending protected NOTIFY {notification}$",
            rf"^ISAKMP:\(1001\):deleting SA reason \"peer deleted it\" state \(R\) QM_IDLE \(peer {re.escape(SPOKE)}\)$")


def bad_message(peer: str, reason: str) -> tuple[str, ...]:
    return (rf"^%CRYPTO-4-IKMP_BAD_MESSAGE: IKE message from {re.escape(peer)} failed its sanity check or is malformed$",
            rf"^ISAKMP:\(\d+\): message from {re.escape(peer)} dropped: {reason}$")


NO_TRANSFORM = r"no transform of the peer's offer matches a policy"
OTHER_PROPOSAL = {"ike": "aes128-sha256-modp2048"}
UDP = {"local_ts": "dynamic[udp]", "remote_ts": "dynamic[udp]"}

OURS = {
    "key": Refusal(
        (*bad_message(HUB, "answer to our authentication is under other keys: pre-shared keys may differ"),
         r"^ISAKMP:\(1001\): retransmitting phase 1, attempt 5$",
         rf"^ISAKMP:\(1001\):deleting SA reason \"peer did not answer our authentication: pre-shared keys may differ\" state \(I\) MM_KEY_EXCH \(peer {re.escape(HUB)}\)$"),
        {"key": "another"}, says="peer did not answer our authentication: pre-shared keys may differ", lasts=48),
    "phase-1-proposal": Refusal(
        (rf"^ISAKMP:\(0\): message from {re.escape(HUB)} dropped: unprotected notification, somebody says: NO-PROPOSAL-CHOSEN$",
         r"^ISAKMP:\(0\): retransmitting phase 1, attempt 5$",
         rf"^ISAKMP:\(0\):deleting SA reason \"peer did not answer 5 transmissions\" state \(I\) MM_NO_STATE \(peer {re.escape(HUB)}\)$"),
        OTHER_PROPOSAL, says="peer did not answer 5 transmissions", lasts=48),
    "phase-2-proposal": Refusal(processed("PROPOSAL_NOT_CHOSEN"), {"esp": "aes128-sha256"}, phase_2=True, says=SAYS["PROPOSAL_NOT_CHOSEN"]),
    "pfs": Refusal(processed("PROPOSAL_NOT_CHOSEN"), {"esp": "3des-sha1-modp768"}, phase_2=True, says=SAYS["PROPOSAL_NOT_CHOSEN"]),
    "mode": Refusal(processed("INVALID_ID_INFORMATION"), {"mode": "tunnel"}, phase_2=True, says=SAYS["INVALID_ID_INFORMATION"]),
    "selector": Refusal(processed("INVALID_ID_INFORMATION"), child=UDP, phase_2=True, says=SAYS["INVALID_ID_INFORMATION"]),
}
THEIRS = {
    "key": Refusal(
        (*bad_message(SPOKE, r"message does not decrypt: pre-shared keys may differ \(.*\)"),
         rf"^ISAKMP:\(1001\):deleting SA reason \"negotiation not complete after 60s\" state \(R\) MM_KEY_EXCH \(peer {re.escape(SPOKE)}\)$"),
        {"key": "another"}, lasts=62),
    "phase-1-proposal": Refusal(
        (r"^ISAKMP:\(0\):Encryption algorithm offered does not match policy!$",
         r"^ISAKMP:\(0\):atts are not acceptable\. Next payload is 0$",
         r"^ISAKMP:\(0\):no offers accepted!$",
         rf"^ISAKMP:\(0\): phase 1 SA policy not acceptable! \(local {re.escape(HUB)} remote {re.escape(SPOKE)}\)$",
         rf"^ISAKMP:\(0\): message from {re.escape(SPOKE)} dropped: {NO_TRANSFORM}$",
         r"^ISAKMP:\(0\): sending unprotected NOTIFY PROPOSAL_NOT_CHOSEN$"),
        OTHER_PROPOSAL, says="received NO_PROPOSAL_CHOSEN error notify"),
    "phase-2-proposal": Refusal(
        (r"^ISAKMP: transform 1, ESP_AES$", r"^ISAKMP:      authenticator is HMAC-SHA256$",
         r"^ISAKMP:\(1001\): IPSec policy invalidated proposal 1, transform 1$", *told(NO_TRANSFORM, "PROPOSAL_NOT_CHOSEN")[1:]),
        {"esp": "aes128-sha256"}, phase_2=True, says="received NO_PROPOSAL_CHOSEN error notify"),
    "pfs": Refusal(told(r"peer's perfect forward secrecy is none, ours group 1", "PROPOSAL_NOT_CHOSEN"), {"esp": "3des-sha1"}, options={"pfs": True},
                   phase_2=True, says="received NO_PROPOSAL_CHOSEN error notify"),
    "mode": Refusal(
        (r"^ISAKMP:      encaps is 1 \(Tunnel\)$", r"^ISAKMP:\(1001\): IPSec policy invalidated proposal 1, transform 1$", *told(NO_TRANSFORM, "PROPOSAL_NOT_CHOSEN")[1:]),
        {"mode": "tunnel"}, phase_2=True, says="received NO_PROPOSAL_CHOSEN error notify"),
    "selector": Refusal(told("no protection for the peer's proxy identities", "INVALID_ID_INFORMATION"), child=UDP, phase_2=True,
                        says="received INVALID_ID_INFORMATION error notify"),
}
for role, body, refusals in (("initiator", ours, OURS), ("responder", theirs, THEIRS)):
    for name, refusal in refusals.items():
        add(f"strongswan/refused/{name}/{role}", body, refusal, sets=(CI, ALL) if refusal.lasts < 60 else (ALL,), limit=refusal.lasts + 60, needs=PACKAGES)
