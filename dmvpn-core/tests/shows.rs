//! The eight `show` commands in the guide's layout. Words and their order are the contract; white
//! space and rulers were lost in the document. Numbers that differ from run to run are `#`.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings};
use dmvpn_core::Node;
use dmvpn_core::cisco::{
    CryptoIpsecSa, CryptoIsakmpSa, CryptoSession, CryptoSockets, Dmvpn, IpNhrp, IpNhrpNhs,
};

/// Hub and spoke a minute after the guide's bring-up, with some traffic.
fn nodes(check: impl Fn(&Node, &Node)) {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 1);
    for _ in 0..20 {
        assert!(cloud.reaches(spoke, hub, guide::ip(guide::HUB_TUNNEL)));
        assert!(cloud.reaches(hub, spoke, guide::ip(guide::SPOKE_TUNNEL)));
        cloud.run_for(Duration::from_secs(3));
    }
    let now = cloud.now;
    for router in [hub, spoke] {
        cloud.routers[router].node.handle_timeout(now);
    }
    check(&cloud.routers[hub].node, &cloud.routers[spoke].node);
}

/// Lines without blank ones and rulers, white space folded, volatile numbers as `#`.
fn normal(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        let line = words.join(" ");
        if !line.chars().all(|c| "-= ".contains(c)) {
            lines.push(line);
        }
    }
    lines
}

/// SPIs, what is left of a volume lifetime.
fn word(word: &str) -> String {
    let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("[0x"));
    if hexadecimal.is_some() {
        return "#".to_owned();
    }
    if let Some((kilobytes, seconds)) = word.trim_matches(['(', ')']).split_once('/')
        && kilobytes.len() == 7
        && kilobytes.chars().all(|c| c.is_ascii_digit())
    {
        return format!("#/{seconds}");
    }
    word.to_owned()
}

fn assert_shows(output: &dyn core::fmt::Display, guide: &str) {
    assert_eq!(normal(&output.to_string()), normal(guide), "\n{output}");
}

#[test]
fn show_crypto_sockets() {
    nodes(|hub, spoke| {
        let guide = |local: &str, remote: &str| {
            format!(
                "Number of Crypto Socket connections 1
                 Tu0 Peers (local/remote): {local}/{remote}
                 Local Ident (addr/mask/port/prot): ({local}/255.255.255.255/0/47)
                 Remote Ident (addr/mask/port/prot): ({remote}/255.255.255.255/0/47)
                 IPSec Profile: \"DMVPN-IPSEC\"
                 Socket State: Open
                 Client: \"TUNNEL SEC\" (Client State: Active)
                 Crypto Sockets in Listen state:
                 Client: \"TUNNEL SEC\" Profile: \"DMVPN-IPSEC\" Map-name: \"Tunnel0-head-0\""
            )
        };
        assert_shows(&CryptoSockets(spoke), &guide("172.16.1.1", "172.16.10.1"));
        assert_shows(&CryptoSockets(hub), &guide("172.16.10.1", "172.16.1.1"));
    });
}

#[test]
fn show_crypto_session_detail() {
    nodes(|hub, spoke| {
        let guide = |local: &str, remote: &str| {
            format!(
                "Crypto session current status
                 Code: C - IKE Configuration mode, D - Dead Peer Detection
                 K - Keepalives, N - NAT-traversal, T - cTCP encapsulation
                 X - IKE Extended Authentication, F - IKE Fragmentation
                 Interface: Tunnel0
                 Uptime: 00:01:01
                 Session status: UP-ACTIVE
                 Peer: {remote} port 500 fvrf: (none) ivrf: (none)
                 Phase1_id: {remote}
                 Desc: (none)
                 IKEv1 SA: local {local}/500 remote {remote}/500 Active
                 Capabilities:(none) connid:1001 lifetime:23:58:58
                 IPSEC FLOW: permit 47 host {local} host {remote}
                 Active SAs: 2, origin: crypto map
                 Inbound: #pkts dec'ed 22 drop 0 life (KB/Sec) #/3538
                 Outbound: #pkts enc'ed 22 drop 0 life (KB/Sec) #/3538"
            )
        };
        assert_shows(&CryptoSession(spoke), &guide("172.16.1.1", "172.16.10.1"));
        assert_shows(&CryptoSession(hub), &guide("172.16.10.1", "172.16.1.1"));
    });
}

#[test]
fn show_crypto_isakmp_sa_detail() {
    nodes(|hub, spoke| {
        let guide = |local: &str, remote: &str| {
            format!(
                "Codes: C - IKE configuration mode, D - Dead Peer Detection
                 K - Keepalives, N - NAT-traversal
                 T - cTCP encapsulation, X - IKE Extended Authentication
                 psk - Preshared key, rsig - RSA signature
                 renc - RSA encryption
                 IPv4 Crypto ISAKMP SA
                 C-id Local Remote I-VRF Status Encr Hash Auth DH Lifetime Cap.
                 1001 {local} {remote} ACTIVE 3des sha psk 1 23:58:58
                 Engine-id:Conn-id = SW:1
                 IPv6 Crypto ISAKMP SA"
            )
        };
        assert_shows(&CryptoIsakmpSa(spoke), &guide("172.16.1.1", "172.16.10.1"));
        assert_shows(&CryptoIsakmpSa(hub), &guide("172.16.10.1", "172.16.1.1"));
    });
}

#[test]
fn show_crypto_ipsec_sa_detail() {
    nodes(|hub, spoke| {
        let guide = |local: &str, remote: &str| {
            let association = |number: u8| {
                format!(
                    "spi: #
                     transform: esp-3des esp-sha-hmac ,
                     in use settings ={{Transport, }}
                     conn id: {number}, flow_id: SW:{number}, sibling_flags 80000006, crypto map: Tunnel0-head-0
                     sa timing: remaining key lifetime (k/sec): #/3538
                     IV size: 16 bytes
                     replay detection support: Y
                     Status: ACTIVE"
                )
            };
            format!(
                "interface: Tunnel0
                 Crypto map tag: Tunnel0-head-0, local addr {local}
                 protected vrf: (none)
                 local ident (addr/mask/prot/port): ({local}/255.255.255.255/47/0)
                 remote ident (addr/mask/prot/port): ({remote}/255.255.255.255/47/0)
                 current_peer {remote} port 500
                 PERMIT, flags={{origin_is_acl,}}
                 #pkts encaps: 22, #pkts encrypt: 22, #pkts digest: 22
                 #pkts decaps: 22, #pkts decrypt: 22, #pkts verify: 22
                 #pkts compressed: 0, #pkts decompressed: 0
                 #pkts not compressed: 0, #pkts compr. failed: 0
                 #pkts not decompressed: 0, #pkts decompress failed: 0
                 #pkts no sa (send) 0, #pkts invalid sa (rcv) 0
                 #pkts encaps failed (send) 0, #pkts decaps failed (rcv) 0
                 #pkts invalid prot (rcv) 0, #pkts verify failed: 0
                 #pkts invalid identity (rcv) 0, #pkts invalid len (rcv) 0
                 #pkts replay rollover (send): 0, #pkts replay rollover (rcv) 0
                 ##pkts replay failed (rcv): 0
                 #pkts internal err (send): 0, #pkts internal err (rcv) 0
                 local crypto endpt.: {local}, remote crypto endpt.: {remote}
                 path mtu 1500, ip mtu 1500, ip mtu idb Ethernet0/0
                 current outbound spi: #
                 PFS (Y/N): N, DH group: none
                 inbound esp sas:
                 {}
                 inbound ah sas:
                 inbound pcp sas:
                 outbound esp sas:
                 {}
                 outbound ah sas:
                 outbound pcp sas:",
                association(1),
                association(2)
            )
        };
        assert_shows(&CryptoIpsecSa(spoke), &guide("172.16.1.1", "172.16.10.1"));
        assert_shows(&CryptoIpsecSa(hub), &guide("172.16.10.1", "172.16.1.1"));
    });
}

#[test]
fn show_ip_nhrp() {
    nodes(|hub, spoke| {
        assert_shows(
            &IpNhrp(spoke),
            "10.1.1.254/32 via 10.1.1.254
             Tunnel0 created 00:01:01, never expire
             Type: static, Flags:
             NBMA address: 172.16.10.1",
        );
        assert_shows(
            &IpNhrp(hub),
            "10.1.1.1/32 via 10.1.1.1
             Tunnel0 created 00:01:01, expire 01:58:58
             Type: dynamic, Flags: unique registered
             NBMA address: 172.16.1.1",
        );
    });
}

#[test]
fn show_ip_nhrp_nhs() {
    nodes(|hub, spoke| {
        assert_shows(
            &IpNhrpNhs(spoke),
            "Legend: E=Expecting replies, R=Responding, W=Waiting
             Tunnel0:
             10.1.1.254 RE priority = 0 cluster = 0",
        );
        // The hub is the only server of the cloud: it has none configured.
        assert_shows(&IpNhrpNhs(hub), "Legend: E=Expecting replies, R=Responding, W=Waiting");
    });
}

const LEGEND: &str = "Legend: Attrb --> S - Static, D - Dynamic, I - Incomplete
    N - NATed, L - Local, X - No Socket
    # Ent --> Number of NHRP entries with same NBMA peer
    NHS Status: E --> Expecting Replies, R --> Responding, W --> Waiting
    UpDn Time --> Up or Down Time for a Tunnel";

#[test]
fn show_dmvpn() {
    nodes(|hub, spoke| {
        let guide = |kind: &str, row: &str| {
            format!(
                "{LEGEND}
                 Interface: Tunnel0, IPv4 NHRP Details
                 Type:{kind}, NHRP Peers:1,
                 # Ent Peer NBMA Addr Peer Tunnel Add State UpDn Tm Attrb
                 {row}"
            )
        };
        let row = "1 172.16.10.1 10.1.1.254 UP 00:01:01 S";
        assert_shows(&Dmvpn { node: spoke, detail: false }, &guide("Spoke", row));
        let row = "1 172.16.1.1 10.1.1.1 UP 00:01:01 D";
        assert_shows(&Dmvpn { node: hub, detail: false }, &guide("Hub", row));
    });
}

#[test]
fn show_dmvpn_detail() {
    nodes(|hub, spoke| {
        let sessions = |local: &str, remote: &str| {
            format!(
                "Crypto Session Details:
                 Interface: Tunnel0
                 Session: #
                 IKEv1 SA: local {local}/500 remote {remote}/500 Active
                 Capabilities:(none) connid:1001 lifetime:23:58:58
                 Crypto Session Status: UP-ACTIVE
                 fvrf: (none), Phase1_id: {remote}
                 IPSEC FLOW: permit 47 host {local} host {remote}
                 Active SAs: 2, origin: crypto map
                 Inbound: #pkts dec'ed 22 drop 0 life (KB/Sec) #/3538
                 Outbound: #pkts enc'ed 22 drop 0 life (KB/Sec) #/3538
                 Outbound SPI : # transform : esp-3des esp-sha-hmac
                 Socket State: Open
                 Pending DMVPN Sessions:"
            )
        };
        let spoke_guide = format!(
            "{LEGEND}
             Interface Tunnel0 is up/up, Addr. is 10.1.1.1, VRF \"\"
             Tunnel Src./Dest. addr: 172.16.1.1/172.16.10.1, Tunnel VRF \"\"
             Protocol/Transport: \"GRE/IP\", Protect \"DMVPN-IPSEC\"
             Interface State Control: Disabled
             IPv4 NHS:
             10.1.1.254 RE priority = 0 cluster = 0
             Type:Spoke, Total NBMA Peers (v4/v6): 1
             # Ent Peer NBMA Addr Peer Tunnel Add State UpDn Tm Attrb Target Network
             1 172.16.10.1 10.1.1.254 UP 00:01:01 S 10.1.1.254/32
             {}",
            sessions("172.16.1.1", "172.16.10.1")
        );
        let hub_guide = format!(
            "{LEGEND}
             Interface Tunnel0 is up/up, Addr. is 10.1.1.254, VRF \"\"
             Tunnel Src./Dest. addr: 172.16.10.1/MGRE, Tunnel VRF \"\"
             Protocol/Transport: \"multi-GRE/IP\", Protect \"DMVPN-IPSEC\"
             Interface State Control: Disabled
             Type:Hub, Total NBMA Peers (v4/v6): 1
             # Ent Peer NBMA Addr Peer Tunnel Add State UpDn Tm Attrb Target Network
             1 172.16.1.1 10.1.1.1 UP 00:01:01 D 10.1.1.1/32
             {}",
            sessions("172.16.10.1", "172.16.1.1")
        );
        // A small index is padded to eight digits there, as in the guide's `0x A259D71`.
        let joined =
            |node: &Node| Dmvpn { node, detail: true }.to_string().replace("SPI : 0x ", "SPI : 0x");
        assert_eq!(normal(&joined(spoke)), normal(&spoke_guide));
        assert_eq!(normal(&joined(hub)), normal(&hub_guide));
    });
}
