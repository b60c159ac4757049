//! Typed records of what happened, in the order in which IOS's debug output tells it.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use dmvpn_time::Instant;

use crate::wire::{Attribute, IdType, MessageId, NotifyType, PayloadType, ProtocolId, TransformId};
use crate::{
    ChildLifetime, CloseReason, CoarseState, Deviation, Direction, Discard, EspProposal,
    MajorInput, MinorInput, Mode, Nat, Path, Role, Selector, Selectors, StateKind,
};

/// A record with its circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// When.
    pub at: Instant,
    /// Our address and port; unspecified where no peer is concerned.
    pub local: SocketAddr,
    /// The crypto peer: what `debug crypto condition peer ipv4` filters by.
    pub remote: SocketAddr,
    /// The connection id of the phase 1 SA: 0 until it has keys.
    pub connection: u32,
    /// What happened.
    pub trace: Trace,
}

/// Something that happened. Where a record stands for more than one line of the guide, they are
/// named.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Trace {
    /// `ISAKMP is ON`: the first protection was added.
    On,
    /// `ISAKMP is OFF`: the last protection was removed.
    Off,

    // -- the start of a negotiation --
    /// `IPSEC(sa_request)`: an SA is asked for.
    SaRequest(KeyEngineMessage),
    /// `SA request profile is (NULL)`.
    RequestProfile,
    /// `Created a peer struct for ADDRESS, peer port PORT`.
    PeerCreated,
    /// `local port 500, remote port 500`.
    Ports,
    /// `Can not start Aggressive mode, trying Main mode.`
    NoAggressiveMode,
    /// `found peer pre-shared key matching ADDRESS`.
    PreSharedKeyFound,
    /// `No pre-shared key with ADDRESS!`
    NoPreSharedKey,
    /// `constructed … ID`: a NAT traversal vendor id goes into our message.
    VendorIdConstructed {
        /// Its bytes.
        vendor_id: Bytes,
    },
    /// `beginning Main Mode exchange`.
    BeginningMainMode,
    /// `beginning Aggressive Mode exchange`.
    BeginningAggressiveMode,
    /// `Unable to initiate or respond to Aggressive Mode while disabled`: the configuration does not
    /// let us answer.
    AggressiveModeDisabled,

    // -- state machines --
    /// Two lines: `Input = …` and `Old State = …  New State = …`; with a message ID the first
    /// starts with `Node ID,`.
    Transition {
        /// The quick mode, `None` for main mode.
        node: Option<MessageId>,
        /// Where the input came from.
        major: MajorInput,
        /// What it was.
        minor: MinorInput,
        /// The state before.
        old: StateKind,
        /// The state after.
        new: StateKind,
    },

    // -- packets --
    /// Two lines: `sending packet to … my_port … peer_port … (I) …` and
    /// `Sending an IKE IPv4 Packet.`
    Sending {
        /// Our role.
        role: Role,
        /// The coarse state.
        state: CoarseState,
        /// Our port.
        my_port: u16,
        /// The peer's port.
        peer_port: u16,
    },
    /// `received packet from … dport … sport … Global (I) …`.
    Received {
        /// Our role, `None` for a message that starts an SA: `(N) NEW SA`.
        role: Option<Role>,
        /// The coarse state.
        state: CoarseState,
        /// Our port.
        dport: u16,
        /// The peer's port.
        sport: u16,
    },
    /// `retransmitting phase 1 …` or, with a message ID, `phase 2`.
    Retransmitting {
        /// The quick mode, `None` for phase 1.
        node: Option<MessageId>,
        /// Which transmission this is; the second is the first retransmission.
        attempt: u32,
        /// Whether the peer's duplicate asked for it.
        duplicate: bool,
    },
    /// `phase 1 packet is a duplicate of a previous packet.` and its like.
    Duplicate {
        /// The quick mode, `None` for phase 1.
        node: Option<MessageId>,
    },

    /// A message goes out in fragments.
    FragmentsSent {
        /// How many.
        count: usize,
        /// Octets of the message.
        octets: usize,
    },
    /// A fragment of a message came; others are still missing.
    FragmentReceived {
        /// Which message.
        id: u16,
        /// Which fragment, from 1.
        number: u8,
    },
    /// The last fragment that was missing came.
    Reassembled {
        /// Which message.
        id: u16,
        /// Its octets.
        octets: usize,
    },

    // -- main mode --
    /// `processing SA payload. message ID = 0` and its like.
    Processing {
        /// The payload.
        payload: PayloadType,
        /// The exchange.
        message_id: MessageId,
    },
    /// A vendor id of the peer: `processing vendor id payload`, for NAT traversal's
    /// `vendor ID seems Unity/DPD but major N mismatch`, and what it is.
    VendorIdReceived {
        /// Its bytes.
        vendor_id: Bytes,
        /// Whether it is an IOS box's: its head depends on the peer's cookie.
        ios_box: bool,
    },
    /// `local preshared key found`.
    LocalPreSharedKeyFound,
    /// `Scanning profiles for xauth ...`.
    ScanningProfiles,
    /// `Checking ISAKMP transform 1 against priority 1 policy` and the attributes, a line each.
    CheckingTransform {
        /// The transform's number.
        transform: u8,
        /// The policy's.
        priority: u16,
        /// The attributes as received.
        attributes: Vec<Attribute<'static>>,
    },
    /// `atts are not acceptable. Next payload is N`, after the line that says what differs.
    TransformNotAcceptable {
        /// The payload after the transform.
        next_payload: PayloadType,
        /// The attribute that differs.
        attribute: crate::wire::AttributeType,
    },
    /// `atts are acceptable. Next payload is 0` and the lines on the lifetime up to
    /// `Started lifetime timer`.
    TransformAcceptable {
        /// The payload after the transform.
        next_payload: PayloadType,
        /// Bytes of the duration attribute, `None` in its basic format.
        duration_len: Option<usize>,
        /// The peer's lifetime in seconds.
        seconds: u32,
        /// The lifetime that counts here, in seconds.
        actual: u32,
    },
    /// `phase 1 SA policy not acceptable!`
    NoTransformAcceptable,
    /// `received payload type 20`, then for the first NAT-D payload the line on whether it is our
    /// address, for the last the result.
    NatDetection {
        /// Type of the payload.
        payload: PayloadType,
        /// Its place: 0 for the first, which describes us; the others describe the peer.
        index: usize,
        /// Whether it is the hash of the address that it describes, as seen from here.
        matches: bool,
        /// The result, with the last one.
        result: Option<Nat>,
    },
    /// `Send initial contact`.
    SendInitialContact,
    /// `SA is doing pre-shared key authentication using id type …`.
    Authenticating {
        /// The type of our identity.
        id_type: IdType,
    },
    /// `ID payload` and its fields.
    IdPayload {
        /// The payload after it.
        next_payload: PayloadType,
        /// Type of the identity.
        id_type: IdType,
        /// The identity.
        data: Bytes,
        /// The IP protocol.
        protocol: u8,
        /// The port.
        port: u16,
    },
    /// `Total payload length: 12`.
    TotalPayloadLength {
        /// Bytes of the ID payload with its generic header.
        len: usize,
    },
    /// `peer matches *none* of the profiles`.
    NoProfile,
    /// `processing NOTIFY INITIAL_CONTACT protocol 1` and its second line.
    ProcessingNotify {
        /// What it says.
        notify_type: NotifyType,
        /// The protocol.
        protocol: ProtocolId,
        /// The SPI.
        spi: Bytes,
        /// The exchange.
        message_id: MessageId,
    },
    /// `processing DELETE_WITH_REASON payload` and its like.
    ProcessingDelete {
        /// The protocol.
        protocol: ProtocolId,
        /// How many SPIs it names.
        count: u16,
        /// The exchange.
        message_id: MessageId,
    },
    /// `SA authentication status: authenticated`.
    AuthenticationStatus,
    /// `SA has been authenticated with ADDRESS`.
    Authenticated,
    /// `Process initial contact,` and the line on what is brought down.
    InitialContact,
    /// `Trying to insert a peer LOCAL/REMOTE/PORT/,  and inserted successfully`.
    PeerInserted,

    // -- quick mode --
    /// `beginning Quick Mode exchange, M-ID of N`.
    BeginningQuickMode {
        /// The exchange.
        message_id: MessageId,
    },
    /// `QM Initiator gets spi` or `QM Responder gets spi`.
    GetsSpi {
        /// Which.
        role: Role,
    },
    /// `set new node N to QM_IDLE`, the number signed.
    NewNode {
        /// The exchange.
        message_id: MessageId,
    },
    /// `Checking IPSec proposal 1`, `transform 1, ESP_3DES`, `attributes in transform:` and the
    /// attributes, a line each.
    CheckingProposal {
        /// The proposal's number.
        proposal: u8,
        /// The transform's number.
        transform: u8,
        /// The protocol.
        protocol: ProtocolId,
        /// Which transform.
        id: TransformId,
        /// The attributes as received.
        attributes: Vec<Attribute<'static>>,
    },
    /// `atts are acceptable.`
    ProposalAcceptable,
    /// `IPSec policy invalidated proposal …`.
    ProposalNotAcceptable {
        /// The proposal's number.
        proposal: u8,
        /// The transform's number.
        transform: u8,
    },
    /// `IPSEC(validate_proposal_request): proposal part #1`, once alone and once with the details.
    ValidateProposal(KeyEngineMessage),
    /// `Creating IPSec SAs` and its ten lines.
    CreatingSas {
        /// The peer's end of the tunnel.
        remote: IpAddr,
        /// Our end of the tunnel.
        local: IpAddr,
        /// The traffic.
        selectors: Selectors,
        /// SPI of the inbound SA.
        inbound_spi: u32,
        /// SPI of the outbound SA.
        outbound_spi: u32,
        /// The lifetime agreed on.
        lifetime: ChildLifetime,
    },
    /// `deleting node N error FALSE reason "…"`.
    NodeDeleted {
        /// The exchange.
        message_id: MessageId,
        /// Whether it failed.
        error: bool,
        /// Why.
        reason: NodeEnd,
    },

    // -- the key engine --
    /// `IPSEC(key_engine): got a queue event with 1 KMI message(s)`.
    KeyEngineEvent,
    /// `IPSEC(create_sa): sa created,` and its four lines.
    SaCreated {
        /// Inbound or outbound.
        direction: Direction,
        /// Where it leads to.
        destination: IpAddr,
        /// Its SPI.
        spi: u32,
        /// Its algorithms.
        transform: EspProposal,
        /// Its connection id.
        conn_id: u32,
        /// Its lifetime, the volume after jitter.
        lifetime: ChildLifetime,
    },
    /// Two lines: `IPSEC(key_engine_enable_outbound): rec'd enable notify from ISAKMP` and
    /// `enable SA with spi N/50`. Only on the responder.
    EnableOutbound {
        /// SPI of the outbound SA.
        spi: u32,
    },
    /// Two lines: `IPSEC(update_current_outbound_sa): get enable SA peer …` and `updated peer …`.
    CurrentOutbound {
        /// The peer's end of the tunnel.
        peer: IpAddr,
        /// SPI of the outbound SA.
        spi: u32,
    },
    /// `IPSEC(delete_sa): deleting SA,` and its like.
    SaDeleted {
        /// Inbound or outbound.
        direction: Direction,
        /// Its SPI.
        spi: u32,
        /// Why.
        reason: CloseReason,
    },

    // -- later in life --
    /// `deleting SA reason "…" state (I) QM_IDLE (peer ADDRESS)`.
    Phase1Deleted {
        /// Our role.
        role: Role,
        /// The coarse state.
        state: CoarseState,
        /// Why.
        reason: CloseReason,
    },
    /// A phase 1 SA is about to expire and is negotiated anew.
    Phase1Rekeying,
    /// A phase 2 SA is about to expire and is negotiated anew.
    ChildRekeying {
        /// SPI of the inbound SA.
        spi: u32,
    },
    /// An R-U-THERE or its answer was sent.
    DeadPeerDetectionSent {
        /// Which of the two.
        notify_type: NotifyType,
        /// Its sequence number.
        sequence: u32,
    },
    /// An R-U-THERE or its answer was received.
    DeadPeerDetectionReceived {
        /// Which of the two.
        notify_type: NotifyType,
        /// Its sequence number.
        sequence: u32,
    },
    /// The peer did not answer and is dead.
    PeerDead,
    /// A notification was sent.
    NotifySent {
        /// What it says.
        notify_type: NotifyType,
        /// Whether it was protected.
        protected: bool,
    },
    /// A delete was sent.
    DeleteSent {
        /// The protocol of the SAs.
        protocol: ProtocolId,
        /// How many SAs it names.
        count: usize,
    },
    /// A lifetime announced by the responder counts from now on.
    ResponderLifetime {
        /// The protocol of the SA.
        protocol: ProtocolId,
        /// Seconds.
        seconds: Option<u32>,
        /// Kilobytes.
        kilobytes: Option<u32>,
    },
    /// Messages go to the NAT traversal ports from now on (RFC 3947 §4).
    PortsFloated {
        /// The new path.
        path: Path,
    },
    /// A NAT keepalive was sent.
    KeepaliveSent,
    /// The peer's address changed.
    PeerMoved {
        /// The new path.
        path: Path,
    },

    // -- refusals --
    /// As many datagrams as configured wait to be polled: this one is lost, as on a path that loses.
    TransmitDropped {
        /// The limit.
        limit: usize,
    },
    /// As many events as configured wait to be polled: so many went that had become meaningless.
    EventsCoalesced {
        /// How many there have been, this time included.
        total: u64,
    },
    /// A complete quick mode is forgotten before its time, because there are newer ones.
    QuickModeForgotten {
        /// Its message ID.
        message_id: MessageId,
    },
    /// A message ID is forgotten while its SA lives, because there are so many newer ones.
    MessageIdForgotten {
        /// The message ID.
        message_id: MessageId,
    },
    /// Fragments of a message are forgotten, for a newer message of the same sender or because the
    /// others did not come.
    FragmentsForgotten {
        /// Whether the others did not come in time.
        late: bool,
    },
    /// A refusal is not sent: there were as many as configured in this second.
    RefusalSuppressed {
        /// The limit.
        limit: u32,
    },
    /// Input changed nothing.
    Discarded(Discard),
    /// Something was accepted although an RFC forbids it.
    Deviation(Deviation),
}

/// Why a quick mode or informational exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEnd {
    /// `No Error`.
    NoError,
    /// `QM done (await)`: the responder got QM3.
    QuickModeDone,
    /// `Informational (in) state 1`.
    InformationalReceived,
    /// It was given up.
    Failed(CloseReason),
}

/// `(key eng. msg.) …`: what passes between ISAKMP and IPsec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEngineMessage {
    /// Inbound or outbound.
    pub direction: Direction,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Our proxy identity.
    pub local_proxy: Selector,
    /// The peer's proxy identity.
    pub remote_proxy: Selector,
    /// The transform set, `None` for `NONE`.
    pub transform: Option<EspProposal>,
    /// Mode of encapsulation.
    pub mode: Mode,
    /// Seconds; 0 where IOS prints 0.
    pub seconds: u32,
    /// Kilobytes; 0 where IOS prints 0.
    pub kilobytes: u32,
    /// `keysize=`: 128 where IOS prints 128.
    pub keysize: u32,
}
