//! The configuration reader: the guide's two routers, bad input, and any input at all.

use core::net::Ipv4Addr;

use dmvpn_examples::build::{Wishes, build};
use dmvpn_examples::ios::{
    DhGroup, EspEncryption, EspIntegrity, EspMode, IsakmpEncryption, IsakmpHash, KeyPeer,
    ReadErrorKind, Router, Secret, TunnelMode,
};
use dmvpn_isakmp::crypto::{Group, HashAlgorithm};
use dmvpn_isakmp::{
    AggressivePeer, ChildLifetime, Encryption, EspProposal, Identity, Mode, Policy, PreSharedKey,
};
use proptest::prelude::*;

const HUB: &str = include_str!("../configs/hub.ios");
const SPOKE: &str = include_str!("../configs/spoke.ios");

#[test]
fn guides_hub() {
    let hub = Router::read(HUB).unwrap();

    let [policy] = &hub.isakmp.policies[..] else { panic!("one policy") };
    assert_eq!(policy.priority, 1);
    assert_eq!(policy.encryption, IsakmpEncryption::TripleDes);
    assert_eq!(policy.hash, IsakmpHash::Sha1);
    // Not stated in the guide: IOS's defaults.
    assert_eq!(policy.group, DhGroup(1));
    assert_eq!(policy.lifetime, 86_400);

    let [key] = &hub.isakmp.keys[..] else { panic!("one key") };
    assert_eq!(key.key, Secret::new("cisco123"));
    assert!(matches!(&key.peer, KeyPeer::Address(peers) if peers.prefix_length == 0));

    let [tunnel] = &hub.tunnels[..] else { panic!("one tunnel") };
    assert_eq!(tunnel.mode, TunnelMode::Multipoint);
    assert_eq!(tunnel.key, Some(1));
    assert_eq!((tunnel.mtu, tunnel.adjust_mss), (Some(1400), Some(1360)));
    assert_eq!(tunnel.address.address, Ipv4Addr::new(10, 1, 1, 254));
    assert_eq!(tunnel.address.prefix_length, 24);
    assert!(!tunnel.redirects && tunnel.nhrp.map_multicast_dynamic);
    assert_eq!(tunnel.no_split_horizon, Some(1));
    assert_eq!(tunnel.nhrp.authentication, Some(Secret::new("NHRPAUTH")));
    assert_eq!(tunnel.nhrp.network_id, Some(1));
    assert_eq!(hub.tunnel_source(tunnel), Some(Ipv4Addr::new(172, 16, 10, 1)));

    let profile = hub.tunnel_protection(tunnel).unwrap();
    let [set] = &hub.profile_sets(profile).collect::<Vec<_>>()[..] else { panic!("one set") };
    assert_eq!((profile.lifetime_seconds, profile.lifetime_kilobytes), (3_600, 4_608_000));
    assert_eq!(profile.pfs, None);
    assert_eq!(set.encryption, EspEncryption::TripleDes);
    assert_eq!(set.integrity, Some(EspIntegrity::Sha1));
    assert_eq!(set.mode, EspMode::Transport);

    assert_eq!(hub.loopbacks.len(), 4);
    assert_eq!(hub.eigrp[0].networks.len(), 5);
}

#[test]
fn guides_spoke() {
    let spoke = Router::read(SPOKE).unwrap();
    let [tunnel] = &spoke.tunnels[..] else { panic!("one tunnel") };
    let hub = Ipv4Addr::new(172, 16, 10, 1);
    assert_eq!(tunnel.mode, TunnelMode::PointToPoint { destination: hub });
    let [map] = &tunnel.nhrp.map[..] else { panic!("one map") };
    assert_eq!((map.protocol, map.nbma), (Ipv4Addr::new(10, 1, 1, 254), hub));
    let [nhs] = &tunnel.nhrp.nhs[..] else { panic!("one server") };
    assert_eq!((nhs.address, nhs.nbma), (Ipv4Addr::new(10, 1, 1, 254), None));
    assert!(tunnel.redirects && !tunnel.nhrp.map_multicast_dynamic);
    let loopback = spoke.interface_address("Loopback0").unwrap();
    assert_eq!(loopback.address, Ipv4Addr::new(209, 165, 201, 1));
}

#[test]
fn guides_crypto_reaches_the_protocols() {
    let hub = Router::read(HUB).unwrap();
    let policy = Policy::from(&hub.isakmp.policies[0]);
    let expected = Policy {
        priority: 1,
        encryption: Encryption::TripleDes,
        hash: HashAlgorithm::SHA1,
        group: Group::MODP_768,
        lifetime: 86_400,
    };
    assert_eq!(policy, expected);
    let key = PreSharedKey::from(&hub.isakmp.keys[0]);
    assert_eq!((key.address, key.prefix), (Ipv4Addr::UNSPECIFIED.into(), 0));
    assert_eq!(key.key.dangerous_bytes(), b"cisco123");
    let profile = hub.tunnel_protection(&hub.tunnels[0]).unwrap();
    let set = hub.profile_sets(profile).next().unwrap();
    assert_eq!(EspProposal::from(set), EspProposal::TRIPLE_DES_SHA1);
    assert_eq!(Mode::from(set.mode), Mode::Transport);
    assert_eq!(ChildLifetime::from(profile), ChildLifetime::default());
}

#[test]
fn guides_text_is_canonical() {
    for text in [HUB, SPOKE] {
        assert_eq!(Router::read(text).unwrap().to_string(), text);
    }
}

#[test]
fn everything_stated() {
    let text = "\
crypto isakmp policy 10
 encr aes 256
 hash sha256
 authentication pre-share
 group 14
 lifetime 28800
crypto isakmp policy 20
 encr aes
 hash md5
 authentication pre-share
crypto isakmp key one address 172.16.10.1
crypto isakmp key two address 172.16.0.0 255.255.0.0
!
crypto ipsec transform-set GCM esp-gcm 256
 mode transport
crypto ipsec transform-set CBC esp-aes 192 esp-sha512-hmac
 mode tunnel
!
crypto ipsec profile P
 set security-association lifetime seconds 900
 set security-association lifetime kilobytes 2560
 set transform-set GCM
 set pfs group19
";
    let router = Router::read(text).unwrap();
    assert_eq!(router.to_string(), text);
    assert_eq!(router.isakmp.policies[0].encryption, IsakmpEncryption::Aes256);
    assert_eq!(router.isakmp.policies[0].lifetime, 28_800);
    assert!(
        matches!(&router.isakmp.keys[0].peer, KeyPeer::Address(peer) if peer.prefix_length == 32)
    );
    assert_eq!(router.ipsec_profiles[0].pfs, Some(DhGroup(19)));
    assert!(!format!("{router:?}").contains("two"), "a key shows in Debug");
}

/// What a router between real peers has beside the guide's lines.
const REAL: &str = "\
hostname spoke
ip domain name example.net
!
crypto isakmp policy 10
 encr aes 256
 hash sha384
 authentication pre-share
 group 20
crypto isakmp key one address 172.16.0.0 255.255.0.0
crypto isakmp key two hostname hub.example.net
crypto isakmp identity hostname
crypto isakmp keepalive 10 3 periodic
crypto isakmp nat keepalive 15
crypto isakmp fragmentation
no crypto isakmp aggressive-mode disable
crypto isakmp peer address 172.16.10.1
 set aggressive-mode password three
 set aggressive-mode client-endpoint user-fqdn spoke@example.net
!
crypto ipsec transform-set A esp-gcm 256
 mode transport
crypto ipsec transform-set B esp-aes esp-sha-hmac
 mode transport
!
crypto ipsec profile P
 set security-association replay window-size 512
 set transform-set A B
!
interface Tunnel0
 ip address 10.1.1.1 255.255.255.0
 ip nhrp map multicast 172.16.10.1
 ip nhrp holdtime 300
 ip nhrp nhs 10.1.1.254 nbma 172.16.10.1 multicast
 ip nhrp nhs 10.1.1.253 nbma 172.16.10.2 priority 1 cluster 2
 ip nhrp registration no-unique
 ip nhrp registration timeout 60
 shutdown
 tunnel source 172.16.1.1
 tunnel mode gre multipoint
 tunnel checksum
 tunnel protection ipsec profile P
interface Tunnel1
 ip address 10.1.2.1 255.255.255.0
 tunnel source Ethernet0/0
 tunnel destination 172.16.10.1
!
interface Ethernet0/0
 ip address 172.16.1.2 255.255.255.0
";

#[test]
fn a_router_between_real_peers() {
    let router = Router::read(REAL).unwrap();
    assert_eq!(router.to_string(), REAL);
    assert_eq!(router.qualified_name().as_deref(), Some("spoke.example.net"));
    let [tunnel, clear] = &router.tunnels[..] else { panic!("two tunnels") };
    assert_eq!(router.tunnel_source(tunnel), Some(Ipv4Addr::new(172, 16, 1, 1)));
    assert!(tunnel.shutdown && tunnel.checksum && tunnel.nhrp.no_unique);
    let [first, second] = &tunnel.nhrp.nhs[..] else { panic!("two servers") };
    assert!(first.multicast && !second.multicast);
    assert_eq!((second.priority, second.cluster), (1, 2));
    assert_eq!(clear.protection, None);
    let profile = router.tunnel_protection(tunnel).unwrap();
    assert_eq!(router.profile_sets(profile).count(), 2);
    let debug = format!("{router:?}");
    for secret in ["\"one\"", "two\"", "three"] {
        assert!(!debug.contains(secret), "a key shows in Debug");
    }
}

#[test]
fn aggressive_mode_reaches_the_protocol() {
    let router = Router::read(REAL).unwrap();
    let [peer] = &router.isakmp.peers[..] else { panic!("one peer") };
    let (group, hub) = (Group(20), Ipv4Addr::new(172, 16, 10, 1).into());
    let expected = AggressivePeer {
        identity: Some(Identity::user_fqdn("spoke@example.net")),
        ..AggressivePeer::new(hub, group)
    };
    assert_eq!(peer.in_group(group), expected);
    let key = PreSharedKey::from(peer);
    assert_eq!((key.address, key.prefix, key.key.dangerous_bytes()), (hub, 32, &b"three"[..]));
    let named = PreSharedKey::from(&router.isakmp.keys[1]);
    assert_eq!(named.identity, Some(Identity::fqdn("hub.example.net")));
    let wishes = Wishes {
        trace_capacity: 0,
        key_log: false,
        force_encapsulation: false,
        first_request_id: None,
    };
    assert!(build(&router, wishes).is_ok());
}

#[test]
fn policies_are_in_order_of_preference_and_headings_repeat() {
    let policy = |priority| {
        format!("crypto isakmp policy {priority}\n encr 3des\n authentication pre-share\n")
    };
    let text = policy(20) + &policy(10) + "crypto isakmp policy 20\n group 2\n";
    let router = Router::read(&text).unwrap();
    let found: Vec<_> = router.isakmp.policies.iter().map(|p| (p.priority, p.group.0)).collect();
    assert_eq!(found, [(10, 1), (20, 2)]);
}

#[test]
fn errors_name_line_and_word() {
    for (lines, expected) in [
        ("interface Tunnel0\n ip nhrp foo 1", "line 2: unknown word `foo` after `ip nhrp`"),
        (
            "interface Tunnel0\n ip nhrp map multicast static",
            "line 2: `static` is not an IPv4 address after `ip nhrp map multicast`",
        ),
        ("interface Tunnel0\n ip nhrp", "line 2: a line of `ip nhrp` expected after `ip nhrp`"),
        (
            "interface Tunnel0\n ip nhrp authentication NINECHARS",
            "line 2: `(..)` is not a string of at most 8 characters after `ip nhrp authentication`",
        ),
        (
            "interface Tunnel0\n ip mtu 67",
            "line 2: `67` is not a number from 68 to 17940 after `ip mtu`",
        ),
        (
            "interface Tunnel0\n ip mtu +1400",
            "line 2: `+1400` is not a number from 68 to 17940 after `ip mtu`",
        ),
        ("interface Tunnel0\n ip mtu 1400 1400", "line 2: unknown word `1400` after `ip mtu 1400`"),
        (
            "interface Tunnel0\n ip address 10.1.1.1 255.0.255.0",
            "line 2: `255.0.255.0` is not a contiguous mask after `ip address 10.1.1.1`",
        ),
        (
            "interface Tunnel0\n ip address 10.1.1.256 255.255.255.0",
            "line 2: `10.1.1.256` is not an IPv4 address after `ip address`",
        ),
        ("interface Tunnel0\n tunnel mode ipip", "line 2: unknown word `ipip` after `tunnel mode`"),
        ("interface Tunnel0\n bandwidth 1000", "line 2: unknown word `bandwidth`"),
        ("interface Tunnel0\n no ip nhrp", "line 2: unknown word `nhrp` after `no ip`"),
        ("interface Serial0", "line 1: unknown word `Serial0` after `interface`"),
        ("interface Tunnel", "line 1: unknown word `Tunnel` after `interface`"),
        ("logging buffered", "line 1: unknown word `logging`"),
        ("hostname", "line 1: the router's name expected after `hostname`"),
        ("ip domain lookup", "line 1: unknown word `lookup` after `ip domain`"),
        ("router ospf 1", "line 1: unknown word `ospf` after `router`"),
        (
            "crypto isakmp policy 0",
            "line 1: `0` is not a number from 1 to 10000 after `crypto isakmp policy`",
        ),
        ("crypto isakmp policy 1\n encr des", "line 2: unknown word `des` after `encr`"),
        ("crypto isakmp policy 1\n encr aes 512", "line 2: unknown word `512` after `encr aes`"),
        (
            "crypto isakmp policy 1\n group 3",
            "line 2: `3` is not a group of 1, 2, 5, 14, 15, 16, 19, 20 after `group`",
        ),
        (
            "crypto isakmp policy 1\n authentication rsa-sig",
            "line 2: unknown word `rsa-sig` after `authentication`",
        ),
        (
            "crypto isakmp policy 1\n authentication pre-share",
            "line 1: crypto isakmp policy 1 needs an `encr` line: IOS's default, DES, is not offered",
        ),
        (
            "crypto isakmp policy 1\n encr 3des",
            "line 1: crypto isakmp policy 1 needs `authentication pre-share`: IOS's default, RSA, is not offered",
        ),
        (
            "crypto isakmp key 6 SECRET address 1.2.3.4",
            "line 1: `(..)` is not `address` or `hostname` after `crypto isakmp key (..)`",
        ),
        (
            "crypto isakmp key k address",
            "line 1: an address expected after `crypto isakmp key (..) address`",
        ),
        (
            "crypto isakmp key k",
            "line 1: `address` or `hostname` expected after `crypto isakmp key (..)`",
        ),
        (
            "crypto isakmp key k address 1.2.3.4 255.0.255.0",
            "line 1: `255.0.255.0` is not a contiguous mask after `crypto isakmp key (..) address 1.2.3.4`",
        ),
        (
            "crypto isakmp key k hostname hub more",
            "line 1: unknown word `more` after `crypto isakmp key (..) hostname hub`",
        ),
        (
            "crypto isakmp peer address 1.2.3.4\n set aggressive-mode password two words",
            "line 2: unknown word `(..)` after `set aggressive-mode password (..)`",
        ),
        (
            "crypto ipsec transform-set T esp-3des esp-null",
            "line 1: `esp-null` is not a transform that can join the ones before it after `crypto ipsec transform-set T esp-3des`",
        ),
        (
            "crypto ipsec transform-set T esp-3des",
            "line 1: crypto ipsec transform-set T needs an integrity algorithm",
        ),
        (
            "crypto ipsec transform-set T esp-sha-hmac",
            "line 1: crypto ipsec transform-set T needs an ESP cipher",
        ),
        (
            "crypto ipsec transform-set T esp-gcm esp-sha-hmac",
            "line 1: crypto ipsec transform-set T has `esp-gcm` and an integrity algorithm, which exclude each other",
        ),
        (
            "crypto ipsec transform-set T ah-sha-hmac",
            "line 1: unknown word `ah-sha-hmac` after `crypto ipsec transform-set T`",
        ),
        (
            "crypto ipsec profile P",
            "line 1: crypto ipsec profile P needs a `set transform-set` line",
        ),
        (
            "crypto ipsec profile P\n set transform-set T",
            "line 1: crypto ipsec profile P names `T`, which is not defined",
        ),
        (
            "crypto ipsec profile P\n set pfs 2",
            "line 2: `2` is not a group of 1, 2, 5, 14, 15, 16, 19, 20 after `set pfs`",
        ),
        (
            "crypto ipsec profile P\n set security-association lifetime seconds 59",
            "line 2: `59` is not a number from 60 to 2592000 after `set security-association lifetime seconds`",
        ),
        ("!\n\ninterface Tunnel0", "line 3: interface Tunnel0 needs an `ip address` line"),
        (
            "interface Tunnel0\n ip address 10.1.1.1 255.255.255.0",
            "line 1: interface Tunnel0 needs a `tunnel source` line",
        ),
        (
            "interface Tunnel0\n ip address 10.1.1.1 255.255.255.0\n tunnel source Ethernet0",
            "line 1: interface Tunnel0 needs `tunnel mode gre multipoint` or a `tunnel destination` line",
        ),
        (
            "interface Tunnel0\n ip address 10.1.1.1 255.255.255.0\n tunnel source Ethernet0\n tunnel mode gre multipoint",
            "line 1: interface Tunnel0 names `Ethernet0`, which is not defined",
        ),
        (
            "interface Tunnel0\n ip address 10.1.1.1 255.255.255.0\n tunnel source Ethernet0\n tunnel mode gre multipoint\n tunnel destination 1.2.3.4",
            "line 1: interface Tunnel0 has `tunnel mode gre multipoint` and `tunnel destination`, which exclude each other",
        ),
    ] {
        assert_eq!(Router::read(lines).unwrap_err().to_string(), expected, "{lines}");
    }
}

/// Each line that has a secret, with a word too few, too many or wrong at each place: whatever the error
/// is, the secret is not in it.
#[test]
fn no_error_shows_a_secret() {
    const SECRET: &str = "s3cr3t";
    let (mut unknown, mut missing, mut invalid) = (0, 0, 0);
    for (heading, line) in [
        ("", "crypto isakmp key s3cr3t address 172.16.0.0 255.255.0.0"),
        ("", "crypto isakmp key s3cr3t hostname hub"),
        ("", "crypto isakmp key 6 s3cr3t address 172.16.0.0"),
        ("crypto isakmp peer address 1.2.3.4\n", "set aggressive-mode password s3cr3t"),
        ("interface Tunnel0\n", "ip nhrp authentication s3cr3t"),
        ("interface Tunnel0\n", "ip nhrp authentication s3cr3t-too-long"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let secret = words.iter().position(|word| word.starts_with(SECRET)).unwrap();
        let mut lines = vec![words.clone()];
        for at in 0..=words.len() {
            let (before, after) = words.split_at(at);
            for wrong in ["adress", "6", "255.0.255.0"] {
                lines.push([before, &[wrong], after].concat());
                if at < words.len() && at != secret {
                    lines.push([before, &[wrong], &after[1..]].concat());
                }
            }
            // Without one of the words before it nobody knows that it is one.
            if at > secret {
                lines.push(before.to_vec());
                lines.push([before, after.get(1..).unwrap_or_default()].concat());
            }
        }
        // One with a space.
        lines.push([&words[..=secret], &words[secret..]].concat());
        for words in lines {
            let text = format!("{heading} {}", words.join(" "));
            let Err(error) = Router::read(&text) else { continue };
            let kind = &error.kind;
            unknown += usize::from(matches!(kind, ReadErrorKind::UnknownWord { .. }));
            missing += usize::from(matches!(kind, ReadErrorKind::Missing { .. }));
            invalid += usize::from(matches!(kind, ReadErrorKind::Invalid { .. }));
            for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
                assert!(!shown.contains(SECRET), "{text}: {shown}");
            }
        }
    }
    assert!(unknown > 0 && missing > 0 && invalid > 0, "{unknown} {missing} {invalid}");
}

/// Lines of the guide and of `REAL`, cut and joined at random: near enough to IOS to reach every rule.
fn shuffled_guide() -> impl Strategy<Value = String> {
    let words: Vec<&str> =
        [HUB, SPOKE, REAL].iter().flat_map(|text| text.split_whitespace()).collect();
    let lines: Vec<&str> = HUB.lines().chain(SPOKE.lines()).chain(REAL.lines()).collect();
    let word = prop_oneof![
        8 => proptest::sample::select(words).prop_map(str::to_owned),
        1 => any::<u32>().prop_map(|number| number.to_string()),
        1 => "\\PC{0,6}",
    ];
    let mixed = proptest::collection::vec(word, 0..8).prop_map(|words| words.join(" "));
    let line =
        prop_oneof![4 => proptest::sample::select(lines).prop_map(str::to_owned), 1 => mixed];
    proptest::collection::vec(line, 0..60).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = Router::read(&text);
    }

    #[test]
    fn what_is_read_prints_back(text in shuffled_guide()) {
        if let Ok(router) = Router::read(&text) {
            let printed = router.to_string();
            prop_assert_eq!(Router::read(&printed).unwrap(), router, "{}", printed);
        }
    }

    #[test]
    fn guide_with_lines_left_out_reads_or_says_why(keep in proptest::collection::vec(any::<bool>(), 40)) {
        let kept = HUB.lines().zip(keep).filter_map(|(line, keep)| keep.then_some(line));
        let text = kept.collect::<Vec<_>>().join("\n");
        match Router::read(&text) {
            Ok(router) => prop_assert_eq!(Router::read(&router.to_string()), Ok(router)),
            Err(error) => prop_assert!(error.line >= 1 && error.line <= text.lines().count()),
        }
    }
}
