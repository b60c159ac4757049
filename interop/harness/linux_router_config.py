"""What a Linux router is configured with, and the files that say so: FRR's, swanctl's and the init's."""
import dataclasses
import ipaddress
from typing import List, Optional

HUB_LOOPBACKS = ["203.0.113.%d" % n for n in (1, 2, 3, 4)]
SPOKE_LOOPBACKS = ["209.165.201.%d" % n for n in (1, 2, 3, 4)]
# Loaded by the init before anything needs them.
KERNEL_MODULES = """tunnel4 gre ip_tunnel ip_gre esp4 xfrm_algo xfrm_user af_key authenc cbc ecb des_generic hmac echainiv seqiv
    sha512_generic jitterentropy_rng drbg ctr gcm ghash-generic dummy nfnetlink nfnetlink_log x_tables ip_tables iptable_filter
    iptable_mangle xt_NFLOG xt_hashlimit xt_tcpudp xt_TCPMSS xt_policy""".split()


@dataclasses.dataclass
class RouterConfig:
    """The guide's configuration, as far as a Linux router has the same things; the defaults are those of the guide's hub."""

    name: str = "hub"
    nbma: str = "172.16.10.1/24"
    gateway: str = "172.16.10.254"
    tunnel: str = "10.1.1.254/24"
    tunnel_mtu: int = 1400
    loopbacks: List[str] = dataclasses.field(default_factory=lambda: list(HUB_LOOPBACKS))
    # A spoke has a next-hop server; without one the router is a hub.
    nhs: Optional[str] = None
    nhs_nbma: Optional[str] = None
    authentication: Optional[str] = "NHRPAUTH"
    holdtime: int = 7200
    unique: bool = True
    # None sends GRE in clear.
    psk: Optional[str] = "cisco123"
    ike: str = "3des-sha1-modp768"
    esp: str = "3des-sha1"
    # The IKE identity; None is the NBMA address.
    identity: Optional[str] = None
    dpd: str = "10s"
    # "eigrp", "ospf" or None.
    routing: Optional[str] = "eigrp"
    memory: int = 128

    @property
    def nbma_address(self):
        return self.nbma.split("/")[0]

    @property
    def tunnel_address(self):
        return self.tunnel.split("/")[0]

    def files(self):
        """The router's state files: name to text."""
        files = {"router.env": self._environment(), "nhrpd.conf": self._nhrpd(), "zebra.conf": "", "vtysh.conf": ""}
        if self.routing:
            files[self.routing + "d.conf"] = routing(self.routing, "gre1", self.tunnel, self.loopbacks)
        if self.psk:
            files["swanctl.conf"] = self._swanctl()
            files["strongswan.conf"] = STRONGSWAN_CONF
        return files

    def _environment(self):
        values = {"ROUTER": self.name, "NBMA": self.nbma, "GATEWAY": self.gateway, "TUNNEL": self.tunnel, "GRE_KEY": 1,
                  "TUNNEL_MTU": self.tunnel_mtu, "MSS": self.tunnel_mtu - 40, "LOOPBACKS": " ".join(self.loopbacks),
                  "ROUTING": self.routing + "d" if self.routing else "", "PROTECTED": "yes" if self.psk else "",
                  "MODULES": " ".join(KERNEL_MODULES)}
        return "".join("%s='%s'\n" % item for item in values.items())

    def _nhrpd(self):
        lines = ["debug nhrp common", "nhrp nflog-group 1", "nhrp multicast-nflog-group 2", "interface gre1", " tunnel source eth0",
                 " ip nhrp network-id 1", " ip nhrp holdtime %d" % self.holdtime]
        if self.authentication:
            lines.append(" ip nhrp authentication " + self.authentication)
        if self.nhs:
            lines += [" ip nhrp map multicast " + self.nhs_nbma, " ip nhrp nhs %s nbma %s" % (self.nhs, self.nhs_nbma)]
            if not self.unique:
                lines.append(" ip nhrp registration no-unique")
        else:
            lines.append(" ip nhrp map multicast dynamic")
        return "\n".join(lines + ["exit", ""])

    def _swanctl(self):
        # A spoke's trap policy starts IKE by the first GRE packet; a hub only answers.
        return SWANCTL_CONF % {
            "ike": self.ike, "esp": self.esp, "psk": self.psk, "dpd": self.dpd, "local": self.nbma_address,
            "identity": self.identity or self.nbma_address, "remote": self.nhs_nbma or "%any",
            "start": "trap|start" if self.nhs else "none", "dpd_action": "trap" if self.nhs else "clear"}


def routing(protocol, interface, tunnel, loopbacks):
    """The configuration of FRR's eigrpd or ospfd on a tunnel.  The OSPF timers are short, for the tests' patience."""
    head = ["log timestamp precision 3"]
    address, prefix = tunnel.split("/")
    # The networks that the routing protocol serves: the tunnel's, as the guide has it, whatever the prefix on the interface is.
    subnet = address.rsplit(".", 1)[0] + ".0/24"
    networks = [subnet] + [str(ipaddress.ip_interface(l).network) for l in loopbacks]
    if protocol == "eigrp":
        lines = ["router eigrp 1", " eigrp router-id " + address] + [" network " + n for n in networks]
    else:
        lines = ["interface " + interface, " ip ospf network point-to-multipoint", " ip ospf hello-interval 3",
                 " ip ospf dead-interval 12", " ip ospf mtu-ignore", "exit", "router ospf", " ospf router-id " + address]
        lines += [" network %s area 0" % n for n in networks]
    return "\n".join(head + lines + ["exit", ""])


SWANCTL_CONF = """connections {
  dmvpn {
    version = 1
    aggressive = no
    proposals = %(ike)s
    local_addrs = %(local)s
    remote_addrs = %(remote)s
    rekey_time = 86400s
    over_time = 0s
    dpd_delay = %(dpd)s
    fragmentation = no
    unique = replace
    mobike = no
    local {
      auth = psk
      id = %(identity)s
    }
    remote {
      auth = psk
    }
    children {
      gre {
        mode = transport
        local_ts = dynamic[gre]
        remote_ts = dynamic[gre]
        esp_proposals = %(esp)s
        life_time = 3600s
        rekey_time = 3240s
        life_bytes = 4608000000
        start_action = %(start)s
        dpd_action = %(dpd_action)s
      }
    }
  }
}
secrets {
  ike-any {
    secret = "%(psk)s"
  }
}
"""

# A fixed list of plugins: Debian's bypass-lan would exempt neighbours on the same link from protection.
STRONGSWAN_CONF = """charon-systemd {
  load = random nonce openssl gmp sha1 sha2 md5 hmac kdf x509 pubkey pem pkcs1 constraints revocation kernel-netlink socket-default vici updown counters
  install_routes = no
  install_virtual_ip = no
  retransmit_timeout = 2.0
  cisco_unity = no
  journal {
    default = -1
  }
  filelog {
    main {
      path = /host/log/charon.log
      time_format = %T
      time_add_ms = yes
      append = no
      flush_line = yes
      default = 1
      ike = 2
      knl = 2
    }
  }
}
"""
