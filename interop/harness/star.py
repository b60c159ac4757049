"""Several sites around one Internet, and losses on the way through it."""
import contextlib
import json

from .namespaces import Namespace, link


class Star(contextlib.ExitStack):
    """`site(name, address)` is a namespace with that address on `eth0` and its way out through `internet`."""

    def __init__(self, bench):
        super().__init__()
        bench.enter(self)
        self.internet = self.enter_context(Namespace("internet"))
        self.internet.sysctl(net__ipv4__ip_forward=1)

    def site(self, name: str, *addresses: str) -> Namespace:
        """The addresses, the first of them the usual source, are in one network; its last but one is the gateway's."""
        made = self.enter_context(Namespace(name))
        link(made, "eth0", self.internet, f"to-{name}")
        network, gateway = addresses[0].rsplit(".", 1)[0], addresses[0].rsplit(".", 1)[0] + ".254"
        assert all(address.startswith(network + ".") for address in addresses)
        for address in addresses:
            made.ip("address", "add", f"{address}/24", "dev", "eth0")
        self.internet.ip("address", "add", f"{gateway}/24", "dev", f"to-{name}")
        made.ip("route", "add", "default", "via", gateway)
        return made

    def lose(self, per_mille: int, sites: list[str]):
        """What these sites send, and what is sent to them, is lost at random: so many of a thousand packets in each direction."""
        rules, counters = [], []
        for site in sites:
            for kind, match in (("esp", "ip protocol esp"), ("other", "ip protocol != esp")):
                for way, interface in (("from", "iifname"), ("to", "oifname")):
                    counter = f"{site}_{way}_{kind}"
                    counters.append(f"counter {counter} {{\n}}")
                    rules.append(f'{interface} "to-{site}" {match} numgen random mod 1000 < {per_mille} counter name {counter} drop')
        lines = "\n".join(counters) + "\nchain forward {\ntype filter hook forward priority 0;\n" + "\n".join(rules)
        self.internet.nft(f"table ip loss {{\n{lines}\n}}\n}}\n")

    def lose_nothing(self):
        self.internet.nft("flush chain ip loss forward\n")

    def lost(self) -> dict[str, int]:
        """Packets lost so far: `SITE_from_esp`, `SITE_to_esp`, `SITE_from_other`, `SITE_to_other`."""
        listed = json.loads(self.internet.run("nft", "-j", "list", "counters", "table", "ip", "loss"))["nftables"]
        return {entry["counter"]["name"]: entry["counter"]["packets"] for entry in listed if "counter" in entry}
