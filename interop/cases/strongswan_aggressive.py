"""Aggressive mode against charon: legacy, and open to guessing the key offline; both sides are told to allow it.

The spoke calls itself by a name, which main mode could not find a key by.
"""
from harness.cases import ALL, CI, add, check
from harness.charon import PACKAGES
from harness.strongswan import GUIDE, HUB, SUITES, Laboratory, Options

NAME = "spoke.example.net"
WE_INITIATE = (f"crypto isakmp peer address {HUB}\n set aggressive-mode password {Options.key}\n"
               f" set aggressive-mode client-endpoint fqdn {NAME}\n")
WE_ANSWER = f"crypto isakmp key {Options.key} hostname {NAME}\nno crypto isakmp aggressive-mode disable\n"


def aggressive_mode(bench, options: Options):
    lab = Laboratory(bench, options)
    lab.charon.peer.connection["aggressive"] = "yes"
    if options.we_initiate:
        lab.charon.peer.peer_id = NAME
    else:
        lab.charon.peer.id = NAME
    lab.start()
    lab.up()
    check(not lab.charon.said("ID_PROT"), "some of it was main mode")
    lab.traffic()


for suite in (GUIDE, SUITES["aes256-sha256-modp2048"]):
    for we_initiate in (True, False):
        for path in ("plain", "nat"):
            name = "/".join(("strongswan/aggressive", suite.ike, "initiator" if we_initiate else "responder", path))
            lines = WE_INITIATE if we_initiate else WE_ANSWER
            options = Options(suite, we_initiate=we_initiate, nat=path == "nat", lines=lines)
            add(name, aggressive_mode, options, sets={ALL, CI}, limit=40, needs=PACKAGES)
