//! Each record as the guide prints it, and the table of `show crypto isakmp sa detail`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use dmvpn_isakmp::cisco::{Debug, IsakmpSaDetail, TransformSet};
use dmvpn_isakmp::crypto::{Group, HashAlgorithm};
use dmvpn_isakmp::wire::{
    Attribute, Cookie, IdType, MessageId, NotifyType, PayloadType, ProtocolId, TransformId,
    VendorId, phase1, phase2,
};
use dmvpn_isakmp::{
    ChildLifetime, CloseReason, CoarseState, Direction, Encryption, EspEncryption, EspIntegrity,
    EspProposal, KeyEngineMessage, MajorInput, MinorInput, Mode, Nat, NodeEnd, Path, PeerId,
    Phase1View, Role, Selector, Selectors, StateKind, SuiteView, Trace, Traced, Transport,
};
use dmvpn_time::Instant;

const SPOKE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
const QM: MessageId = MessageId(3_464_373_979);

/// A record of the spoke's, before (0) and after (1002) there are keys.
fn spoke(connection: u32, trace: Trace) -> String {
    let (local, remote) = (SocketAddr::new(SPOKE, 500), SocketAddr::new(HUB, 500));
    Debug(&Traced { at: Instant::EPOCH, local, remote, connection, trace }).to_string()
}

/// A record of the hub's.
fn hub(connection: u32, trace: Trace) -> String {
    let (local, remote) = (SocketAddr::new(HUB, 500), SocketAddr::new(SPOKE, 500));
    Debug(&Traced { at: Instant::EPOCH, local, remote, connection, trace }).to_string()
}

/// The text with its indentation taken off, which is that of its first line.
#[track_caller]
fn assert_lines(rendered: &str, expected: &str) {
    let expected = expected.strip_prefix('\n').unwrap_or(expected);
    let indentation = expected.len() - expected.trim_start().len();
    let lines: Vec<_> =
        expected.lines().map(|line| line.get(indentation..).unwrap_or_default()).collect();
    let lines = if lines.last() == Some(&"") { &lines[..lines.len() - 1] } else { &lines };
    assert_eq!(rendered.split('\n').collect::<Vec<_>>(), lines);
}

#[test]
fn the_start_of_a_negotiation() {
    assert_lines(&spoke(0, Trace::On), "%CRYPTO-6-ISAKMP_ON_OFF: ISAKMP is ON");
    let request = KeyEngineMessage {
        direction: Direction::Outbound,
        local: SocketAddr::new(SPOKE, 500),
        remote: SocketAddr::new(HUB, 500),
        local_proxy: Selector::host(SPOKE, 47),
        remote_proxy: Selector::host(HUB, 47),
        transform: Some(EspProposal::TRIPLE_DES_SHA1),
        mode: Mode::Transport,
        seconds: 3600,
        kilobytes: 4_608_000,
        keysize: 0,
    };
    assert_lines(
        &spoke(0, Trace::SaRequest(request)),
        "
        IPSEC(sa_request): ,
          (key eng. msg.) OUTBOUND local= 172.16.1.1:500, remote= 172.16.10.1:500,
            local_proxy= 172.16.1.1/255.255.255.255/47/0 (type=1),
            remote_proxy= 172.16.10.1/255.255.255.255/47/0 (type=1),
            protocol= ESP, transform= esp-3des esp-sha-hmac  (Transport),
            lifedur= 3600s and 4608000kb,
            spi= 0x0(0), conn_id= 0, keysize= 0, flags= 0x0
        ",
    );
    for (trace, line) in [
        (Trace::RequestProfile, "ISAKMP:(0): SA request profile is (NULL)"),
        (Trace::PeerCreated, "ISAKMP: Created a peer struct for 172.16.10.1, peer port 500"),
        (Trace::Ports, "ISAKMP: local port 500, remote port 500"),
        (Trace::NoAggressiveMode, "ISAKMP:(0):Can not start Aggressive mode, trying Main mode."),
        (Trace::PreSharedKeyFound, "ISAKMP:(0):found peer pre-shared key matching 172.16.10.1"),
        (constructed(&VendorId::NAT_TRAVERSAL), "ISAKMP:(0): constructed NAT-T vendor-rfc3947 ID"),
        (
            constructed(&VendorId::NAT_TRAVERSAL_DRAFT_07),
            "ISAKMP:(0): constructed NAT-T vendor-07 ID",
        ),
        (
            constructed(&VendorId::NAT_TRAVERSAL_DRAFT_03),
            "ISAKMP:(0): constructed NAT-T vendor-03 ID",
        ),
        (
            constructed(&VendorId::NAT_TRAVERSAL_DRAFT_02),
            "ISAKMP:(0): constructed NAT-T vendor-02 ID",
        ),
        (Trace::BeginningMainMode, "ISAKMP:(0): beginning Main Mode exchange"),
    ] {
        assert_lines(&spoke(0, trace), line);
    }
}

fn constructed(vendor_id: &VendorId<'_>) -> Trace {
    Trace::VendorIdConstructed { vendor_id: vendor_id.as_bytes().to_vec().into() }
}

#[test]
fn state_machines() {
    let transition =
        |node, major, minor, old, new| Trace::Transition { node, major, minor, old, new };
    assert_lines(
        &spoke(
            0,
            transition(
                None,
                MajorInput::FromIpsec,
                MinorInput::SaRequestMainMode,
                StateKind::IkeReady,
                StateKind::IkeInitiatorMm1,
            ),
        ),
        "
        ISAKMP:(0):Input = IKE_MESG_FROM_IPSEC, IKE_SA_REQ_MM
        ISAKMP:(0):Old State = IKE_READY  New State = IKE_I_MM1
        ",
    );
    assert_lines(
        &hub(
            1002,
            transition(
                Some(QM),
                MajorInput::FromPeer,
                MinorInput::QuickModeExchange,
                StateKind::QuickModeReady,
                StateKind::QuickModeSpiStarve,
            ),
        ),
        "
        ISAKMP:(1002):Node 3464373979, Input = IKE_MESG_FROM_PEER, IKE_QM_EXCH
        ISAKMP:(1002):Old State = IKE_QM_READY  New State = IKE_QM_SPI_STARVE
        ",
    );
}

#[test]
fn packets() {
    let sending = |role, state| Trace::Sending { role, state, my_port: 500, peer_port: 500 };
    assert_lines(
        &spoke(0, sending(Role::Initiator, CoarseState::NoState)),
        "
        ISAKMP:(0): sending packet to 172.16.10.1 my_port 500 peer_port 500 (I) MM_NO_STATE
        ISAKMP:(0):Sending an IKE IPv4 Packet.
        ",
    );
    assert_lines(
        &hub(1002, sending(Role::Responder, CoarseState::KeyExchange)),
        "
        ISAKMP:(1002): sending packet to 172.16.1.1 my_port 500 peer_port 500 (R) MM_KEY_EXCH
        ISAKMP:(1002):Sending an IKE IPv4 Packet.
        ",
    );
    let received = |role, state| Trace::Received { role, state, dport: 500, sport: 500 };
    for (connection, role, state, line) in [
        (
            0,
            None,
            CoarseState::NewSa,
            "ISAKMP (0): received packet from 172.16.1.1 dport 500 sport 500 Global (N) NEW SA",
        ),
        (
            0,
            Some(Role::Responder),
            CoarseState::SaSetup,
            "ISAKMP (0): received packet from 172.16.1.1 dport 500 sport 500 Global (R) MM_SA_SETUP",
        ),
        (
            1002,
            Some(Role::Responder),
            CoarseState::QuickModeIdle,
            "ISAKMP (1002): received packet from 172.16.1.1 dport 500 sport 500 Global (R) QM_IDLE",
        ),
    ] {
        assert_lines(&hub(connection, received(role, state)), line);
    }
}

#[test]
fn main_mode_proposals() {
    assert_lines(
        &spoke(0, processing(PayloadType::SECURITY_ASSOCIATION, MessageId::ZERO)),
        "ISAKMP:(0): processing SA payload. message ID = 0",
    );
    assert_lines(&spoke(0, Trace::LocalPreSharedKeyFound), "ISAKMP:(0): local preshared key found");
    assert_lines(&spoke(0, Trace::ScanningProfiles), "ISAKMP : Scanning profiles for xauth ...");
    let attributes = vec![
        Attribute::basic(phase1::ENCRYPTION_ALGORITHM, 5),
        Attribute::basic(phase1::HASH_ALGORITHM, 2),
        Attribute::basic(phase1::GROUP_DESCRIPTION, 1),
        Attribute::basic(phase1::AUTHENTICATION_METHOD, 1),
        Attribute::basic(phase1::LIFE_TYPE, 1),
        Attribute::variable_u32(phase1::LIFE_DURATION, 86400),
    ];
    assert_lines(
        &spoke(0, Trace::CheckingTransform { transform: 1, priority: 1, attributes }),
        "
        ISAKMP:(0):Checking ISAKMP transform 1 against priority 1 policy
        ISAKMP:      encryption 3DES-CBC
        ISAKMP:      hash SHA
        ISAKMP:      default group 1
        ISAKMP:      auth pre-share
        ISAKMP:      life type in seconds
        ISAKMP:      life duration (VPI) of  0x0 0x1 0x51 0x80
        ",
    );
    let acceptable = Trace::TransformAcceptable {
        next_payload: PayloadType::NONE,
        duration_len: Some(4),
        seconds: 86400,
        actual: 86400,
    };
    assert_lines(
        &spoke(0, acceptable),
        "
        ISAKMP:(0):atts are acceptable. Next payload is 0
        ISAKMP:(0):Acceptable atts:actual life: 0
        ISAKMP:(0):Acceptable atts:life: 0
        ISAKMP:(0):Fill atts in sa vpi_length:4
        ISAKMP:(0):Fill atts in sa life_in_seconds:86400
        ISAKMP:(0):Returning Actual lifetime: 86400
        ISAKMP:(0)::Started lifetime timer: 86400.
        ",
    );
}

fn processing(payload: PayloadType, message_id: MessageId) -> Trace {
    Trace::Processing { payload, message_id }
}

#[test]
fn vendor_ids() {
    let received = |vendor_id: &VendorId<'_>, ios_box| Trace::VendorIdReceived {
        vendor_id: vendor_id.as_bytes().to_vec().into(),
        ios_box,
    };
    for (vendor_id, lines) in [
        (
            VendorId::NAT_TRAVERSAL,
            "
            ISAKMP:(0): processing vendor id payload
            ISAKMP:(0): vendor ID seems Unity/DPD but major 69 mismatch
            ISAKMP (0): vendor ID is NAT-T RFC 3947
            ",
        ),
        (
            VendorId::NAT_TRAVERSAL_DRAFT_07,
            "
            ISAKMP:(0): processing vendor id payload
            ISAKMP:(0): vendor ID seems Unity/DPD but major 245 mismatch
            ISAKMP (0): vendor ID is NAT-T v7
            ",
        ),
        (
            VendorId::NAT_TRAVERSAL_DRAFT_03,
            "
            ISAKMP:(0): processing vendor id payload
            ISAKMP:(0): vendor ID seems Unity/DPD but major 157 mismatch
            ISAKMP:(0): vendor ID is NAT-T v3
            ",
        ),
        (
            VendorId::NAT_TRAVERSAL_DRAFT_02,
            "
            ISAKMP:(0): processing vendor id payload
            ISAKMP:(0): vendor ID seems Unity/DPD but major 123 mismatch
            ISAKMP:(0): vendor ID is NAT-T v2
            ",
        ),
    ] {
        assert_lines(&hub(0, received(&vendor_id, false)), lines);
    }
    for (vendor_id, ios_box, lines) in [
        (
            VendorId::UNITY,
            false,
            "
            ISAKMP:(1002): processing vendor id payload
            ISAKMP:(1002): vendor ID is Unity
            ",
        ),
        (
            VendorId::DEAD_PEER_DETECTION,
            false,
            "
            ISAKMP:(1002): processing vendor id payload
            ISAKMP:(1002): vendor ID is DPD
            ",
        ),
        (
            VendorId::ios(Cookie(*b"\xcf\x02\x32\x6f\x14\xa9\x5b\x93"), [0; 8]),
            true,
            "
            ISAKMP:(1002): processing vendor id payload
            ISAKMP:(1002): speaking to another IOS box!
            ",
        ),
        (
            // Eight octets: there is no octet 14 to print.
            VendorId::XAUTH,
            false,
            "
            ISAKMP:(1002): processing vendor id payload
            ISAKMP:(1002): vendor ID is XAUTH
            ",
        ),
    ] {
        assert_lines(&spoke(1002, received(&vendor_id, ios_box)), lines);
    }
    for len in 0..40 {
        let unknown = VendorId::new(vec![0xff; len]);
        assert_lines(
            &spoke(1002, received(&unknown, false)),
            "ISAKMP:(1002): processing vendor id payload",
        );
    }
}

#[test]
fn key_exchange_and_nat_detection() {
    for (connection, payload, line) in [
        (0, PayloadType::KEY_EXCHANGE, "ISAKMP:(0): processing KE payload. message ID = 0"),
        (0, PayloadType::NONCE, "ISAKMP:(0): processing NONCE payload. message ID = 0"),
        (1002, PayloadType::IDENTIFICATION, "ISAKMP:(1002): processing ID payload. message ID = 0"),
        (1002, PayloadType::HASH, "ISAKMP:(1002): processing HASH payload. message ID = 0"),
    ] {
        assert_lines(&spoke(connection, processing(payload, MessageId::ZERO)), line);
    }
    let payload = PayloadType::NAT_DETECTION;
    let detection = |index, matches, result| {
        spoke(1002, Trace::NatDetection { payload, index, matches, result })
    };
    assert_lines(
        &detection(0, true, None),
        "
        ISAKMP:received payload type 20
        ISAKMP (1002): His hash no match - this node outside NAT
        ",
    );
    assert_lines(
        &detection(1, true, Some(Nat::default())),
        "
        ISAKMP:received payload type 20
        ISAKMP (1002): No NAT Found for self or peer
        ",
    );
    assert_lines(
        &detection(1, false, Some(Nat { local: false, remote: true })),
        "
        ISAKMP:received payload type 20
        ISAKMP (1002): NAT found, the peer inside NAT
        ",
    );
}

#[test]
fn authentication() {
    let id_payload = |address: &[u8], id_type| Trace::IdPayload {
        next_payload: PayloadType::HASH,
        id_type,
        data: address.to_vec().into(),
        protocol: 17,
        port: 500,
    };
    assert_lines(
        &spoke(1002, id_payload(&[172, 16, 1, 1], IdType::IPV4_ADDR)),
        "
        ISAKMP (1002): ID payload
                next-payload : 8
                type         : 1
                address      : 172.16.1.1
                protocol     : 17
                port         : 500
                length       : 12
        ",
    );
    // A name that would clear the terminal does not.
    assert_lines(
        &hub(1002, id_payload(b"spoke\x1b[2J", IdType::FQDN)),
        r"
        ISAKMP (1002): ID payload
                next-payload : 8
                type         : 2
                FQDN name    : spoke\x1b[2J
                protocol     : 17
                port         : 500
                length       : 17
        ",
    );
    let initial_contact = Trace::ProcessingNotify {
        notify_type: NotifyType::INITIAL_CONTACT,
        protocol: ProtocolId::ISAKMP,
        spi: vec![0x5a; 16].into(),
        message_id: MessageId::ZERO,
    };
    assert_lines(
        &hub(1002, initial_contact),
        "
        ISAKMP:(1002): processing NOTIFY INITIAL_CONTACT protocol 1
                spi 0, message ID = 0, sa = 0x3EA
        ",
    );
    assert_lines(
        &hub(1002, Trace::InitialContact),
        "
        ISAKMP:(1002): Process initial contact,
                bring down existing phase 1 and 2 SA's with local 172.16.10.1 remote 172.16.1.1 remote port 500
        ",
    );
    for (trace, line) in [
        (Trace::SendInitialContact, "ISAKMP:(1002):Send initial contact"),
        (
            Trace::Authenticating { id_type: IdType::IPV4_ADDR },
            "ISAKMP:(1002):SA is doing pre-shared key authentication using id type ID_IPV4_ADDR",
        ),
        (Trace::TotalPayloadLength { len: 12 }, "ISAKMP:(1002):Total payload length: 12"),
        (Trace::NoProfile, "ISAKMP:(0):: peer matches *none* of the profiles"),
        (Trace::AuthenticationStatus, "ISAKMP:(1002):SA authentication status: authenticated"),
        (Trace::Authenticated, "ISAKMP:(1002):SA has been authenticated with 172.16.10.1"),
        (
            Trace::PeerInserted,
            "ISAKMP: Trying to insert a peer 172.16.1.1/172.16.10.1/500/,  and inserted successfully 3EA.",
        ),
    ] {
        assert_lines(&spoke(1002, trace), line);
    }
}

#[test]
fn quick_mode() {
    for (trace, line) in [
        (
            Trace::BeginningQuickMode { message_id: QM },
            "ISAKMP:(1002):beginning Quick Mode exchange, M-ID of 3464373979",
        ),
        (Trace::GetsSpi { role: Role::Initiator }, "ISAKMP:(1002):QM Initiator gets spi"),
        (Trace::GetsSpi { role: Role::Responder }, "ISAKMP:(1002):QM Responder gets spi"),
        (Trace::NewNode { message_id: QM }, "ISAKMP: set new node -830593317 to QM_IDLE"),
        (
            processing(PayloadType::HASH, QM),
            "ISAKMP:(1002): processing HASH payload. message ID = 3464373979",
        ),
        (
            processing(PayloadType::SECURITY_ASSOCIATION, QM),
            "ISAKMP:(1002): processing SA payload. message ID = 3464373979",
        ),
        (Trace::ProposalAcceptable, "ISAKMP:(1002):atts are acceptable."),
        (
            deleted(NodeEnd::NoError),
            "ISAKMP:(1002):deleting node -830593317 error FALSE reason \"No Error\"",
        ),
        (
            deleted(NodeEnd::QuickModeDone),
            "ISAKMP:(1002):deleting node -830593317 error FALSE reason \"QM done (await)\"",
        ),
    ] {
        assert_lines(&spoke(1002, trace), line);
    }
    let attributes = vec![
        Attribute::basic(phase2::ENCAPSULATION_MODE, 2),
        Attribute::basic(phase2::LIFE_TYPE, 1),
        Attribute::basic(phase2::LIFE_DURATION, 3600),
        Attribute::basic(phase2::LIFE_TYPE, 2),
        Attribute::variable_u32(phase2::LIFE_DURATION, 4_608_000),
        Attribute::basic(phase2::AUTHENTICATION_ALGORITHM, 2),
    ];
    let checking = Trace::CheckingProposal {
        proposal: 1,
        transform: 1,
        protocol: ProtocolId::ESP,
        id: TransformId::ESP_3DES,
        attributes,
    };
    assert_lines(
        &spoke(1002, checking),
        "
        ISAKMP:(1002):Checking IPSec proposal 1
        ISAKMP: transform 1, ESP_3DES
        ISAKMP:   attributes in transform:
        ISAKMP:      encaps is 2 (Transport)
        ISAKMP:      SA life type in seconds
        ISAKMP:      SA life duration (basic) of 3600
        ISAKMP:      SA life type in kilobytes
        ISAKMP:      SA life duration (VPI) of  0x0 0x46 0x50 0x0
        ISAKMP:      authenticator is HMAC-SHA
        ",
    );
    let request = KeyEngineMessage {
        direction: Direction::Inbound,
        local: SocketAddr::new(SPOKE, 0),
        remote: SocketAddr::new(HUB, 0),
        local_proxy: Selector::host(SPOKE, 47),
        remote_proxy: Selector::host(HUB, 47),
        transform: None,
        mode: Mode::Transport,
        seconds: 0,
        kilobytes: 0,
        keysize: 128,
    };
    assert_lines(
        &spoke(1002, Trace::ValidateProposal(request)),
        "
        IPSEC(validate_proposal_request): proposal part #1
        IPSEC(validate_proposal_request): proposal part #1,
          (key eng. msg.) INBOUND local= 172.16.1.1:0, remote= 172.16.10.1:0,
            local_proxy= 172.16.1.1/255.255.255.255/47/0 (type=1),
            remote_proxy= 172.16.10.1/255.255.255.255/47/0 (type=1),
            protocol= ESP, transform= NONE  (Transport),
            lifedur= 0s and 0kb,
            spi= 0x0(0), conn_id= 0, keysize= 128, flags= 0x0
        ",
    );
    let creating = Trace::CreatingSas {
        remote: HUB,
        local: SPOKE,
        selectors: Selectors { local: Selector::host(SPOKE, 47), remote: Selector::host(HUB, 47) },
        inbound_spi: 0x82C3_E0C4,
        outbound_spi: 0xDD2A_C2B3,
        lifetime: ChildLifetime::default(),
    };
    assert_lines(
        &spoke(1002, creating),
        "
        ISAKMP:(1002): Creating IPSec SAs
                inbound SA from 172.16.10.1 to 172.16.1.1 (f/i)  0/ 0
                (proxy 172.16.10.1 to 172.16.1.1)
                has spi 0x82C3E0C4 and conn_id 0
                lifetime of 3600 seconds
                lifetime of 4608000 kilobytes
                outbound SA from 172.16.1.1 to 172.16.10.1 (f/i) 0/0
                (proxy 172.16.1.1 to 172.16.10.1)
                has spi  0xDD2AC2B3 and conn_id 0
                lifetime of 3600 seconds
                lifetime of 4608000 kilobytes
        ",
    );
}

fn deleted(reason: NodeEnd) -> Trace {
    Trace::NodeDeleted { message_id: QM, error: false, reason }
}

#[test]
fn the_key_engine() {
    assert_lines(
        &spoke(1002, Trace::KeyEngineEvent),
        "IPSEC(key_engine): got a queue event with 1 KMI message(s)",
    );
    let created = Trace::SaCreated {
        direction: Direction::Inbound,
        destination: SPOKE,
        spi: 0x82C3_E0C4,
        transform: EspProposal::TRIPLE_DES_SHA1,
        conn_id: 3,
        lifetime: ChildLifetime { seconds: 3600, kilobytes: Some(4_499_172) },
    };
    assert_lines(
        &spoke(1002, created),
        "
        IPSEC(create_sa): sa created,
          (sa) sa_dest= 172.16.1.1, sa_proto= 50,
            sa_spi= 0x82C3E0C4(2193875140),
            sa_trans= esp-3des esp-sha-hmac , sa_conn_id= 3
            sa_lifetime(k/sec)= (4499172/3600)
        ",
    );
    assert_lines(
        &hub(1002, Trace::EnableOutbound { spi: 0x82C3_E0C4 }),
        "
        IPSEC(key_engine_enable_outbound): rec'd enable notify from ISAKMP
        IPSEC(key_engine_enable_outbound): enable SA with spi 2193875140/50
        ",
    );
    assert_lines(
        &spoke(1002, Trace::CurrentOutbound { peer: HUB, spi: 0xDD2A_C2B3 }),
        "
        IPSEC(update_current_outbound_sa): get enable SA peer 172.16.10.1 current outbound sa to SPI DD2AC2B3
        IPSEC(update_current_outbound_sa): updated peer 172.16.10.1 current outbound sa to SPI DD2AC2B3
        ",
    );
}

/// Not in the guide, but seen by who looks for the reason of a failure.
#[test]
fn failures() {
    let not_acceptable = Trace::TransformNotAcceptable {
        next_payload: PayloadType::TRANSFORM,
        attribute: phase1::HASH_ALGORITHM,
    };
    assert_lines(
        &hub(0, not_acceptable),
        "
        ISAKMP:(0):Hash algorithm offered does not match policy!
        ISAKMP:(0):atts are not acceptable. Next payload is 3
        ",
    );
    assert_lines(
        &hub(0, Trace::NoTransformAcceptable),
        "
        ISAKMP:(0):no offers accepted!
        ISAKMP:(0): phase 1 SA policy not acceptable! (local 172.16.10.1 remote 172.16.1.1)
        ",
    );
    let refused = Trace::ProcessingNotify {
        notify_type: NotifyType::NO_PROPOSAL_CHOSEN,
        protocol: ProtocolId::ESP,
        spi: vec![0x82, 0xc3, 0xe0, 0xc4].into(),
        message_id: QM,
    };
    assert_lines(
        &spoke(1002, refused),
        "
        ISAKMP:(1002): processing NOTIFY PROPOSAL_NOT_CHOSEN protocol 3
                spi 2193875140, message ID = 3464373979, sa = 0x3EA
        ",
    );
    let deleted = Trace::SaDeleted {
        direction: Direction::Outbound,
        spi: 0xA25_9D71,
        reason: CloseReason::PeerDeleted,
    };
    assert_lines(
        &spoke(1002, deleted),
        "
        IPSEC(delete_sa): deleting SA,
          (sa) sa_dest= 172.16.10.1, sa_proto= 50,
            sa_spi= 0xA259D71(170237297)
            reason= peer deleted it
        ",
    );
    // No attribute of a peer's breaks the line, whatever it is.
    let attributes = vec![
        Attribute::basic(phase1::KEY_LENGTH, 128),
        Attribute::variable(phase1::HASH_ALGORITHM, vec![]),
        Attribute::variable(phase1::GROUP_PRIME, vec![0xff; 9]),
        Attribute::basic(phase1::AUTHENTICATION_METHOD, 77),
        Attribute::basic(phase1::LIFE_DURATION, 3600),
        Attribute::basic(dmvpn_isakmp::wire::AttributeType(0x7fff), 1),
    ];
    assert_lines(
        &hub(0, Trace::CheckingTransform { transform: 9, priority: 10, attributes }),
        "
        ISAKMP:(0):Checking ISAKMP transform 9 against priority 10 policy
        ISAKMP:      keylength of 128
        ISAKMP:      hash (none)
        ISAKMP:      group prime ffffffffffffffffff
        ISAKMP:      auth authentication method 77
        ISAKMP:      life duration (basic) of 3600
        ISAKMP:      attribute 32767 1
        ",
    );
}

#[test]
fn transform_sets() {
    let set =
        |encryption, integrity| TransformSet(EspProposal { encryption, integrity }).to_string();
    assert_eq!(
        set(EspEncryption::Aes256Cbc, Some(EspIntegrity::HmacSha256)),
        "esp-aes 256 esp-sha256-hmac"
    );
    assert_eq!(set(EspEncryption::Aes128Gcm16, None), "esp-gcm");
}

fn sa(local: IpAddr, remote: IpAddr, seconds: u64) -> Phase1View {
    Phase1View {
        connection: 1001,
        peer: Some(PeerId(1)),
        role: Role::Initiator,
        state: StateKind::IkePhase1Complete,
        coarse: CoarseState::QuickModeIdle,
        path: Path {
            local: SocketAddr::new(local, 500),
            remote: SocketAddr::new(remote, 500),
            transport: Transport::Isakmp,
        },
        cookies: (Cookie::ZERO, Cookie::ZERO),
        suite: Some(SuiteView {
            encryption: Encryption::TripleDes,
            hash: HashAlgorithm::SHA1,
            group: Group::MODP_768,
        }),
        remaining: Some(Duration::from_secs(seconds)),
        identity: None,
        nat: Nat::default(),
        dead_peer_detection: false,
    }
}

#[test]
fn show_crypto_isakmp_sa_detail() {
    let negotiating = Phase1View {
        connection: 0,
        coarse: CoarseState::NoState,
        suite: None,
        remaining: None,
        nat: Nat { local: true, remote: false },
        dead_peer_detection: true,
        ..sa(SPOKE, HUB, 0)
    };
    let ipv6 = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    let rows = [sa(SPOKE, HUB, 86350), negotiating, sa(ipv6(1), ipv6(2), 86400)];
    assert_lines(
        IsakmpSaDetail(&rows).to_string().strip_suffix('\n').unwrap(),
        "
        Codes: C - IKE configuration mode, D - Dead Peer Detection
               K - Keepalives, N - NAT-traversal
               T - cTCP encapsulation, X - IKE Extended Authentication
               psk - Preshared key, rsig - RSA signature
               renc - RSA encryption
        IPv4 Crypto ISAKMP SA

        C-id  Local           Remote          I-VRF  Status Encr Hash   Auth DH Lifetime Cap.

        1001  172.16.1.1      172.16.10.1            ACTIVE 3des sha    psk  1  23:59:10
               Engine-id:Conn-id =  SW:1

        0     172.16.1.1      172.16.10.1                                       00:00:00 DN
               Engine-id:Conn-id =  ???

        IPv6 Crypto ISAKMP SA

         dst: 2001:db8::2
         src: 2001:db8::1
         conn-id:   1001  I-VRF:        Status: ACTIVE Encr: 3des  Hash: sha  Auth: psk
         DH: 1  Lifetime: 1d00h  Cap:     Engine-id:Conn-id =  SW:1
        ",
    );
}
