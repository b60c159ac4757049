//! The configuration under which an endpoint makes a recorded peer's choices.

use alloc::sync::Arc;
use core::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use dmvpn_isakmp::{
    AggressiveAnswer, AggressiveMode, AggressivePeer, ChildLifetime, Config, DeadPeerDetection,
    Encryption, EspEncryption, EspIntegrity, EspProposal, Fragmentation, Jobs, Mode, NatTraversal,
    Policy, PreSharedKey, Protection, Proxies, Remote, Role, Selector,
    crypto::{ExponentLength, Group, HashAlgorithm, Secret},
    wire::{
        AttributeType, EncapsulationMode, IdType, Identification, Proposal, SecurityAssociation,
        Transform, TransformId, phase1, phase2,
    },
};

use crate::known_answers::{
    PROVIDER, Scenario, Section,
    observer::{HEADER, IDENTIFICATION, SECURITY_ASSOCIATION, payloads},
};

pub(crate) const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
pub(crate) const SPOKE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
/// The spoke behind the NAT, before it.
pub(crate) const SPOKE_INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 7, 1));

/// Whether the recorded peer that we play sent a NAT-D payload which is no hash of its address.
pub(crate) fn forces_encapsulation(scenario: &Scenario, role: Role) -> bool {
    match scenario.name.as_str() {
        "encap-forced" => role == Role::Initiator,
        "data-3des-sha1" | "data-aes256gcm16" => true,
        _ => false,
    }
}

/// Our own address in the role.
pub(crate) fn local(scenario: &Scenario, role: Role) -> IpAddr {
    match role {
        Role::Initiator if scenario.name.starts_with("nat-") => SPOKE_INSIDE,
        Role::Initiator => SPOKE,
        Role::Responder => HUB,
    }
}

/// The configuration: the recorded initiator's policies, or the one that the responder chose.
/// With an SPI, the endpoint can choose no other.
pub(crate) fn config(scenario: &Scenario, role: Role, jobs: Jobs, spi: Option<u32>) -> Arc<Config> {
    let sa = scenario.sections("ike_sa").next().unwrap();
    let psk = match (scenario.name.as_str(), role) {
        // The recorded key is the responder's; the initiator had another.
        ("fail-psk", Role::Initiator) => b"not that one".to_vec(),
        _ => scenario.psk(),
    };
    let keyring = PreSharedKey {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        prefix: 0,
        key: Secret::new(psk),
        identity: None,
    };
    let offered = sa.hex("sai_b");
    let offered = SecurityAssociation::parse(&offered, HEADER).unwrap();
    let policies: Vec<_> =
        (1..).zip(&offered.proposals[0].transforms).map(|(n, t)| policy(n, t)).collect();
    let policies = match role {
        Role::Initiator => policies,
        // The hub of every scenario but the failing one took what it was recorded with.
        Role::Responder => match sa.get("hash") {
            Some(_) => policies.into_iter().filter(|policy| is_recorded(policy, sa)).collect(),
            None => vec![Policy {
                priority: 1,
                encryption: Encryption::TripleDes,
                hash: HashAlgorithm::SHA1,
                group: Group::MODP_768,
                lifetime: 86_400,
            }],
        },
    };
    let nat_traversal = NatTraversal {
        force_encapsulation: forces_encapsulation(scenario, role),
        ..NatTraversal::default()
    };
    let config = Config::builder(PROVIDER, vec![keyring])
        .policies(policies)
        .nat_traversal(Some(nat_traversal))
        .fragmentation(fragments(scenario).then_some(Fragmentation { packet_size: 200 }))
        .exponent_length(ExponentLength::Full)
        .nonce_len(32)
        .jobs(jobs)
        .initial_contact(recorded_initial_contact(scenario))
        .dead_peer_detection(asks(scenario, role).then_some(DeadPeerDetection {
            interval: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            attempts: 4,
        }));
    let config = if scenario.name.starts_with("am-") {
        config.aggressive_mode(AggressiveMode {
            initiate: vec![AggressivePeer::new(HUB, Group::MODP_768)],
            answer: AggressiveAnswer::Anybody,
            quick_mode_delay: Duration::ZERO,
        })
    } else {
        config
    };
    let config = match spi {
        Some(spi) => config.spi_range(spi..=spi),
        None => config,
    };
    Arc::new(config.build().unwrap())
}

/// Whether the recorded peer that we play sent R-U-THERE.
fn asks(scenario: &Scenario, role: Role) -> bool {
    let from = if role == Role::Initiator { "i" } else { "r" };
    scenario
        .sections("message")
        .filter(|m| m.get("from") == Some(from))
        .any(|m| m.get("payloads") == Some("HASH N") && m.text("plaintext").contains("01108d28"))
}

/// Whether the recorded peers were told to cut what is longer than 200 octets of IP packet.
fn fragments(scenario: &Scenario) -> bool {
    scenario.name == "fragmentation"
}

/// Whether the recorded initiator said INITIAL-CONTACT in MM5.
fn recorded_initial_contact(scenario: &Scenario) -> bool {
    let mm5 = scenario
        .sections("message")
        .find(|m| matches!(m.get("payloads"), Some("ID HASH N" | "HASH NAT-D NAT-D N")));
    mm5.is_some()
}

fn number(transform: &Transform<'_>, attribute: AttributeType) -> Option<u64> {
    transform.attributes.iter().find(|a| a.attribute_type == attribute)?.number()
}

fn policy(priority: u16, transform: &Transform<'_>) -> Policy {
    let value = |attribute| number(transform, attribute);
    Policy {
        priority,
        encryption: match (value(phase1::ENCRYPTION_ALGORITHM), value(phase1::KEY_LENGTH)) {
            (Some(5), None) => Encryption::TripleDes,
            (Some(7), Some(128)) => Encryption::Aes128,
            (Some(7), Some(256)) => Encryption::Aes256,
            other => panic!("{other:?}"),
        },
        hash: HashAlgorithm(value(phase1::HASH_ALGORITHM).unwrap().try_into().unwrap()),
        group: Group(value(phase1::GROUP_DESCRIPTION).unwrap().try_into().unwrap()),
        lifetime: value(phase1::LIFE_DURATION).unwrap().try_into().unwrap(),
    }
}

fn is_recorded(policy: &Policy, sa: &Section) -> bool {
    let encryption = match (sa.text("encr"), sa.number("key_bytes")) {
        ("3des", 24) => Encryption::TripleDes,
        ("aes", 16) => Encryption::Aes128,
        ("aes", 32) => Encryption::Aes256,
        other => panic!("{other:?}"),
    };
    let hash = match sa.text("hash") {
        "md5" => HashAlgorithm::MD5,
        "sha1" => HashAlgorithm::SHA1,
        "sha256" => HashAlgorithm::SHA2_256,
        other => panic!("{other}"),
    };
    let group = Group(sa.text("group").parse().unwrap());
    (policy.encryption, policy.hash, policy.group) == (encryption, hash, group)
}

/// What the first quick mode of the scenario negotiates, if there is one.
pub(crate) fn protection(scenario: &Scenario, role: Role) -> Protection {
    let (local, remote) = match role {
        Role::Initiator => (local(scenario, role), Remote::Host(HUB)),
        Role::Responder => (HUB, Remote::Any),
    };
    let mut protection = Protection::gre(local, remote);
    let quick = |from: &str| {
        scenario
            .sections("message")
            .find(|m| m.get("exchange") == Some("quick") && m.get("from") == Some(from))
            .filter(|m| m.get("plaintext").is_some())
            .map(|m| m.hex("plaintext"))
    };
    // The responder's configuration is what it answered, where it did.
    let message = match role {
        Role::Initiator => quick("i"),
        Role::Responder => quick("r"),
    };
    let Some(message) = message else { return protection };
    let all = payloads(8, &message).unwrap();
    let body = all.iter().find(|p| p.kind == SECURITY_ASSOCIATION).unwrap().body;
    let offered = SecurityAssociation::parse(body, HEADER).unwrap();
    let transforms =
        || offered.proposals.iter().flat_map(|p| p.transforms.iter().map(move |t| (p, t)));
    protection.proposals = transforms().map(|(p, t)| proposal(p, t)).collect();
    let (_, first) = transforms().next().unwrap();
    let mode = number(first, phase2::ENCAPSULATION_MODE).unwrap();
    protection.mode = match EncapsulationMode(mode.try_into().unwrap()) {
        EncapsulationMode::TUNNEL | EncapsulationMode::UDP_TUNNEL => Mode::Tunnel,
        _ => Mode::Transport,
    };
    protection.lifetime = lifetime(first);
    protection.pfs =
        number(first, phase2::GROUP_DESCRIPTION).map(|group| Group(u16::try_from(group).unwrap()));
    let ids: Vec<_> = all
        .iter()
        .filter(|p| p.kind == IDENTIFICATION)
        .map(|p| selector(&Identification::parse(p.body, HEADER).unwrap()))
        .collect();
    let [initiator, responder] = ids[..] else { panic!("two identities") };
    if !(initiator.is_host() && responder.is_host()) {
        let (local, remote) = match role {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        };
        protection.proxies = Proxies::Networks { local, remote };
    }
    protection
}

fn lifetime(transform: &Transform<'_>) -> ChildLifetime {
    let mut lifetime = ChildLifetime { seconds: 3600, kilobytes: None };
    for pair in transform.attributes.windows(2) {
        if pair[0].attribute_type == phase2::LIFE_TYPE {
            let duration = u32::try_from(pair[1].number().unwrap()).unwrap();
            match pair[0].number() {
                Some(1) => lifetime.seconds = duration,
                Some(2) => lifetime.kilobytes = Some(duration),
                other => panic!("{other:?}"),
            }
        }
    }
    lifetime
}

fn proposal(proposal: &Proposal<'_>, transform: &Transform<'_>) -> EspProposal {
    assert_eq!(proposal.protocol.0, 3);
    let encryption = match (transform.id, number(transform, phase2::KEY_LENGTH)) {
        (TransformId::ESP_3DES, None) => EspEncryption::TripleDes,
        (TransformId::ESP_AES, Some(128)) => EspEncryption::Aes128Cbc,
        (TransformId::ESP_AES, Some(256)) => EspEncryption::Aes256Cbc,
        (TransformId::ESP_AES_GCM_16, Some(256)) => EspEncryption::Aes256Gcm16,
        other => panic!("{other:?}"),
    };
    let integrity = match number(transform, phase2::AUTHENTICATION_ALGORITHM) {
        None => None,
        Some(1) => Some(EspIntegrity::HmacMd5),
        Some(2) => Some(EspIntegrity::HmacSha1),
        Some(5) => Some(EspIntegrity::HmacSha256),
        other => panic!("{other:?}"),
    };
    EspProposal { encryption, integrity }
}

fn selector(id: &Identification<'_>) -> Selector {
    match (id.id_type, id.as_address(), id.as_address_pair()) {
        (IdType::IPV4_ADDR, Some(address), _) => Selector::host(address, id.protocol),
        (IdType::IPV4_ADDR_SUBNET, _, Some((address, IpAddr::V4(mask)))) => {
            let prefix = u8::try_from(u32::from(mask).leading_ones()).unwrap();
            Selector { address, prefix, protocol: id.protocol, port: id.port }
        }
        other => panic!("{other:?}"),
    }
}
