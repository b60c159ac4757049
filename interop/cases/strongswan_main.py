"""Main mode and quick mode against charon: suites, both roles, both modes, and what is on the way."""
from harness.cases import ALL, CI, QUICK, add, check
from harness.charon import PACKAGES
from harness.strongswan import GUIDE, SUITES, Laboratory, Options

AES = SUITES["aes256-sha256-modp2048"]


def main_mode(bench, options: Options):
    lab = Laboratory(bench, options).start()
    lab.up()
    child = lab.charon.children()[0]
    check(child["mode"] == options.mode.upper(), f"charon's mode is {child['mode']}")
    encapsulated = child.get("encap") == "yes"
    check(encapsulated == (options.nat or options.nat_hub or options.forced), f"charon's encapsulation in UDP is {encapsulated}")
    lab.traffic()


def rows():
    for suite in SUITES.values():
        for pfs in (False, True):
            for we_initiate in (True, False):
                for path in ("plain", "forced", "nat", "nat-responder", "nat-both"):
                    for mode in ("transport", "tunnel"):
                        yield Options(suite, pfs, mode, we_initiate, nat=path in ("nat", "nat-both"), nat_hub=path in ("nat-responder", "nat-both"),
                                      forced=path == "forced"), path


for options, path in rows():
    name = "/".join(("strongswan/main", options.suite.ike, "initiator" if options.we_initiate else "responder",
                     path, options.mode, "pfs" if options.pfs else "no-pfs"))
    sets = {ALL}
    usual = options.mode == "transport" and path == "plain"
    # Of the rest, the guide's suite without PFS and a modern one with it; of the NATs in front of the responder, the usual mode.
    crossed = options.suite in (GUIDE, AES) and options.pfs == (options.suite is AES) and not (options.nat_hub and options.mode == "tunnel")
    if usual or crossed:
        sets.add(CI)
    if options.suite is GUIDE and not options.pfs and options.mode == "transport" and path != "nat-both":
        sets.add(QUICK)
    add(name, main_mode, options, sets=sets, limit=40, needs=PACKAGES)
