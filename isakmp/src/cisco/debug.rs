//! `debug crypto isakmp` and the key engine's part of `debug crypto ipsec`.

use core::fmt;

use super::attributes::{Phase1, Phase2};
use super::key_engine::{KeyEngine, creating_sas, sa, sa_transform};
use super::payloads::{IdFields, Notify, nat_detection, vendor_id_constructed, vendor_id_received};
use crate::trace::{NodeEnd, Trace, Traced};
use crate::wire::{AttributeType, MessageId, VendorId, phase1};
use crate::{Direction, Discard, Role};

/// Renders a record as IOS prints it: one or more lines, no time, no line end.
///
/// What the guide does not show has a line in the same manner.
#[derive(Clone, Copy, Debug)]
pub struct Debug<'a>(pub &'a Traced);

impl fmt::Display for Debug<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Traced { local, remote, connection: id, ref trace, .. } = *self.0;
        let peer = remote.ip();
        match trace {
            Trace::On => f.write_str("%CRYPTO-6-ISAKMP_ON_OFF: ISAKMP is ON"),
            Trace::Off => f.write_str("%CRYPTO-6-ISAKMP_ON_OFF: ISAKMP is OFF"),

            Trace::SaRequest(request) => {
                write!(f, "IPSEC(sa_request): ,\n{}", KeyEngine(request))
            }
            Trace::RequestProfile => write!(f, "ISAKMP:({id}): SA request profile is (NULL)"),
            Trace::PeerCreated => {
                write!(f, "ISAKMP: Created a peer struct for {peer}, peer port {}", remote.port())
            }
            Trace::Ports => {
                write!(f, "ISAKMP: local port {}, remote port {}", local.port(), remote.port())
            }
            Trace::NoAggressiveMode => {
                write!(f, "ISAKMP:({id}):Can not start Aggressive mode, trying Main mode.")
            }
            Trace::PreSharedKeyFound => {
                write!(f, "ISAKMP:({id}):found peer pre-shared key matching {peer}")
            }
            Trace::NoPreSharedKey => write!(f, "ISAKMP:({id}):No pre-shared key with {peer}!"),
            Trace::VendorIdConstructed { vendor_id } => {
                write!(f, "ISAKMP:({id}): constructed ")?;
                vendor_id_constructed(f, &VendorId::new(&vendor_id[..]))
            }
            Trace::BeginningMainMode => write!(f, "ISAKMP:({id}): beginning Main Mode exchange"),
            Trace::BeginningAggressiveMode => {
                write!(f, "ISAKMP:({id}): beginning Aggressive Mode exchange")
            }
            Trace::AggressiveModeDisabled => {
                write!(f, "ISAKMP:({id}):Unable to initiate or respond to Aggressive Mode ")?;
                f.write_str("while disabled")
            }

            Trace::Transition { node, major, minor, old, new } => {
                write!(f, "ISAKMP:({id}):")?;
                if let Some(node) = node {
                    write!(f, "Node {node}, ")?;
                }
                writeln!(f, "Input = {major}, {minor}")?;
                write!(f, "ISAKMP:({id}):Old State = {old}  New State = {new}")
            }

            Trace::Sending { role, state, my_port, peer_port } => {
                write!(f, "ISAKMP:({id}): sending packet to {peer} ")?;
                writeln!(f, "my_port {my_port} peer_port {peer_port} ({role}) {state}")?;
                let version = if peer.is_ipv4() { 4 } else { 6 };
                write!(f, "ISAKMP:({id}):Sending an IKE IPv{version} Packet.")
            }
            Trace::Received { role, state, dport, sport } => {
                write!(f, "ISAKMP ({id}): received packet from {peer} ")?;
                write!(f, "dport {dport} sport {sport} Global ")?;
                match role {
                    Some(role) => write!(f, "({role}) {state}"),
                    None => write!(f, "(N) {state}"),
                }
            }
            Trace::Retransmitting { node, duplicate: true, .. } => {
                write!(f, "ISAKMP:({id}): retransmitting due to retransmit {}", Phase(*node))
            }
            Trace::Retransmitting { node, attempt, duplicate: false } => {
                write!(f, "ISAKMP:({id}): retransmitting {}, attempt {attempt}", Phase(*node))
            }
            Trace::Duplicate { node } => {
                let phase = Phase(*node);
                write!(f, "ISAKMP:({id}): {phase} packet is a duplicate of a previous packet.")
            }

            Trace::FragmentsSent { count, octets } => {
                write!(f, "ISAKMP:({id}): sending {octets} bytes in {count} fragments")
            }
            Trace::FragmentReceived { id: message, number } => {
                write!(f, "ISAKMP:({id}): received fragment {number} of message {message}")
            }
            Trace::Reassembled { id: message, octets } => {
                write!(f, "ISAKMP:({id}): reassembled message {message}, {octets} bytes")
            }

            Trace::Processing { payload, message_id } => {
                write!(f, "ISAKMP:({id}): processing {payload}. message ID = {message_id}")
            }
            Trace::VendorIdReceived { vendor_id, ios_box } => {
                write!(f, "ISAKMP:({id}): processing vendor id payload")?;
                vendor_id_received(f, id, &VendorId::new(&vendor_id[..]), *ios_box)
            }
            Trace::LocalPreSharedKeyFound => write!(f, "ISAKMP:({id}): local preshared key found"),
            Trace::ScanningProfiles => f.write_str("ISAKMP : Scanning profiles for xauth ..."),
            Trace::CheckingTransform { transform, priority, attributes } => {
                write!(f, "ISAKMP:({id}):Checking ISAKMP transform {transform} ")?;
                write!(f, "against priority {priority} policy{}", Phase1(attributes))
            }
            Trace::TransformNotAcceptable { next_payload, attribute } => {
                writeln!(f, "ISAKMP:({id}):{}", mismatch(*attribute))?;
                let next = next_payload.0;
                write!(f, "ISAKMP:({id}):atts are not acceptable. Next payload is {next}")
            }
            Trace::TransformAcceptable { next_payload, duration_len, seconds, actual } => {
                let next = next_payload.0;
                writeln!(f, "ISAKMP:({id}):atts are acceptable. Next payload is {next}")?;
                writeln!(f, "ISAKMP:({id}):Acceptable atts:actual life: 0")?;
                writeln!(f, "ISAKMP:({id}):Acceptable atts:life: 0")?;
                match duration_len {
                    Some(len) => {
                        writeln!(f, "ISAKMP:({id}):Fill atts in sa vpi_length:{len}")?;
                        writeln!(f, "ISAKMP:({id}):Fill atts in sa life_in_seconds:{seconds}")?;
                    }
                    None => writeln!(f, "ISAKMP:({id}):Basic life_in_seconds:{seconds}")?,
                }
                writeln!(f, "ISAKMP:({id}):Returning Actual lifetime: {actual}")?;
                write!(f, "ISAKMP:({id})::Started lifetime timer: {actual}.")
            }
            Trace::NoTransformAcceptable => {
                writeln!(f, "ISAKMP:({id}):no offers accepted!")?;
                write!(f, "ISAKMP:({id}): phase 1 SA policy not acceptable! ")?;
                write!(f, "(local {} remote {peer})", local.ip())
            }
            Trace::NatDetection { payload, index, matches, result } => {
                write!(f, "ISAKMP:received payload type {}", payload.0)?;
                nat_detection(f, id, *index, *matches, *result)
            }
            Trace::SendInitialContact => write!(f, "ISAKMP:({id}):Send initial contact"),
            Trace::Authenticating { id_type } => {
                write!(f, "ISAKMP:({id}):SA is doing pre-shared key authentication ")?;
                write!(f, "using id type {id_type}")
            }
            Trace::IdPayload { next_payload, id_type, data, protocol, port } => {
                write!(f, "ISAKMP ({id}): ID payload")?;
                let payload = IdFields {
                    next_payload: *next_payload,
                    id_type: *id_type,
                    data,
                    protocol: *protocol,
                    port: *port,
                };
                write!(f, "{payload}")
            }
            Trace::TotalPayloadLength { len } => {
                write!(f, "ISAKMP:({id}):Total payload length: {len}")
            }
            // IOS always has 0 here.
            Trace::NoProfile => f.write_str("ISAKMP:(0):: peer matches *none* of the profiles"),
            Trace::ProcessingNotify { notify_type, protocol, spi, message_id } => {
                write!(f, "ISAKMP:({id}): processing NOTIFY {} ", Notify(*notify_type))?;
                // Only the SPI of IPsec SAs is printed; for ISAKMP, 0.
                let spi = <[u8; 4]>::try_from(&spi[..]).map_or(0, u32::from_be_bytes);
                writeln!(f, "protocol {}", protocol.0)?;
                write!(f, "        spi {spi}, message ID = {message_id}, sa = 0x{id:X}")
            }
            Trace::ProcessingDelete { protocol, count, message_id } => {
                writeln!(f, "ISAKMP:({id}): processing DELETE payload. message ID = {message_id}")?;
                write!(f, "        protocol {}, {count} SPI(s), sa = 0x{id:X}", protocol.0)
            }
            Trace::AuthenticationStatus => {
                write!(f, "ISAKMP:({id}):SA authentication status: authenticated")
            }
            Trace::Authenticated => {
                write!(f, "ISAKMP:({id}):SA has been authenticated with {peer}")
            }
            Trace::InitialContact => {
                writeln!(f, "ISAKMP:({id}): Process initial contact,")?;
                write!(f, "        bring down existing phase 1 and 2 SA's with ")?;
                let (local, port) = (local.ip(), remote.port());
                write!(f, "local {local} remote {peer} remote port {port}")
            }
            Trace::PeerInserted => {
                let (local, port) = (local.ip(), remote.port());
                write!(f, "ISAKMP: Trying to insert a peer {local}/{peer}/{port}/,  ")?;
                write!(f, "and inserted successfully {id:X}.")
            }

            Trace::BeginningQuickMode { message_id } => {
                write!(f, "ISAKMP:({id}):beginning Quick Mode exchange, M-ID of {message_id}")
            }
            Trace::GetsSpi { role } => {
                let role = match role {
                    Role::Initiator => "Initiator",
                    Role::Responder => "Responder",
                };
                write!(f, "ISAKMP:({id}):QM {role} gets spi")
            }
            Trace::NewNode { message_id } => {
                write!(f, "ISAKMP: set new node {} to QM_IDLE", signed(*message_id))
            }
            Trace::CheckingProposal { proposal, transform, protocol, id: which, attributes } => {
                writeln!(f, "ISAKMP:({id}):Checking IPSec proposal {proposal}")?;
                match which.name(*protocol) {
                    Some(name) => writeln!(f, "ISAKMP: transform {transform}, {name}")?,
                    None => writeln!(f, "ISAKMP: transform {transform}, id {}", which.0)?,
                }
                write!(f, "ISAKMP:   attributes in transform:{}", Phase2(attributes))
            }
            Trace::ProposalAcceptable => write!(f, "ISAKMP:({id}):atts are acceptable."),
            Trace::ProposalNotAcceptable { proposal, transform } => {
                write!(f, "ISAKMP:({id}): IPSec policy invalidated proposal {proposal}, ")?;
                write!(f, "transform {transform}")
            }
            Trace::ValidateProposal(request) => {
                f.write_str("IPSEC(validate_proposal_request): proposal part #1\n")?;
                f.write_str("IPSEC(validate_proposal_request): proposal part #1,\n")?;
                write!(f, "{}", KeyEngine(request))
            }
            Trace::CreatingSas {
                remote,
                local,
                selectors,
                inbound_spi,
                outbound_spi,
                lifetime,
            } => {
                writeln!(f, "ISAKMP:({id}): Creating IPSec SAs")?;
                let ends = (*remote, *local);
                creating_sas(f, ends, selectors, (*inbound_spi, *outbound_spi), *lifetime)
            }
            Trace::NodeDeleted { message_id, error, reason } => {
                let error = if *error { "TRUE" } else { "FALSE" };
                write!(f, "ISAKMP:({id}):deleting node {} ", signed(*message_id))?;
                write!(f, "error {error} reason \"{}\"", Reason(*reason))
            }

            Trace::KeyEngineEvent => {
                f.write_str("IPSEC(key_engine): got a queue event with 1 KMI message(s)")
            }
            Trace::SaCreated { destination, spi, transform, conn_id, lifetime, .. } => {
                f.write_str("IPSEC(create_sa): sa created,\n")?;
                sa(f, *destination, *spi)?;
                sa_transform(f, *transform, *conn_id, *lifetime)
            }
            Trace::EnableOutbound { spi } => {
                let function = "IPSEC(key_engine_enable_outbound):";
                writeln!(f, "{function} rec'd enable notify from ISAKMP")?;
                write!(f, "{function} enable SA with spi {spi}/50")
            }
            Trace::CurrentOutbound { peer, spi } => {
                let function = "IPSEC(update_current_outbound_sa):";
                write!(f, "{function} get enable SA peer {peer} ")?;
                writeln!(f, "current outbound sa to SPI {spi:X}")?;
                write!(f, "{function} updated peer {peer} current outbound sa to SPI {spi:X}")
            }
            Trace::SaDeleted { direction, spi, reason } => {
                let destination = match direction {
                    Direction::Inbound => local.ip(),
                    Direction::Outbound => peer,
                };
                f.write_str("IPSEC(delete_sa): deleting SA,\n")?;
                sa(f, destination, *spi)?;
                write!(f, "\n    reason= {reason}")
            }

            Trace::Phase1Deleted { role, state, reason } => {
                write!(f, "ISAKMP:({id}):deleting SA reason \"{reason}\" ")?;
                write!(f, "state ({role}) {state} (peer {peer})")
            }
            Trace::Phase1Rekeying => write!(f, "ISAKMP:({id}): rekeying the SA with {peer}"),
            Trace::ChildRekeying { spi } => {
                write!(f, "IPSEC(lifetime_expiry): SA lifetime threshold reached, ")?;
                write!(f, "sa_spi= 0x{spi:X}({spi}), peer {peer}")
            }
            Trace::DeadPeerDetectionSent { notify_type, sequence } => {
                let notify = Notify(*notify_type);
                write!(f, "ISAKMP:({id}): {notify} sent to peer {peer}, sequence 0x{sequence:X}")
            }
            Trace::DeadPeerDetectionReceived { notify_type, sequence } => {
                write!(f, "ISAKMP:({id}): {} received from ", Notify(*notify_type))?;
                write!(f, "peer {peer}, sequence 0x{sequence:X}")
            }
            Trace::PeerDead => write!(f, "ISAKMP:({id}):peer {peer} not responding!"),
            Trace::NotifySent { notify_type, protected } => {
                let kind = if *protected { "protected" } else { "unprotected" };
                write!(f, "ISAKMP:({id}): sending {kind} NOTIFY {}", Notify(*notify_type))
            }
            Trace::DeleteSent { protocol, count } => {
                write!(f, "ISAKMP:({id}): sending DELETE protocol {}, {count} SPI(s)", protocol.0)
            }
            Trace::ResponderLifetime { protocol, seconds, kilobytes } => {
                let protocol = protocol.0;
                write!(f, "ISAKMP:({id}): processing responder lifetime, protocol {protocol}")?;
                if let Some(seconds) = seconds {
                    write!(f, ", {seconds} seconds")?;
                }
                kilobytes.map_or(Ok(()), |kilobytes| write!(f, ", {kilobytes} kilobytes"))
            }
            Trace::PortsFloated { path } => {
                write!(f, "ISAKMP:({id}): Trying to use ports {} and ", path.local.port())?;
                write!(f, "{} because of NAT", path.remote.port())
            }
            Trace::KeepaliveSent => {
                write!(f, "ISAKMP:({id}): sending NAT keepalive to {remote}")
            }
            Trace::PeerMoved { path } => {
                write!(f, "ISAKMP:({id}): peer {remote} is now at {}", path.remote)
            }

            Trace::TransmitDropped { limit } => {
                write!(f, "ISAKMP:({id}): packet to {peer} dropped: {limit} wait to be sent")
            }
            Trace::EventsCoalesced { total } => {
                write!(f, "ISAKMP:({id}): {total} events became meaningless before anybody asked")
            }
            Trace::QuickModeForgotten { message_id } => {
                write!(f, "ISAKMP:({id}): node {message_id} forgotten: there are newer ones")
            }
            Trace::MessageIdForgotten { message_id } => {
                write!(f, "ISAKMP:({id}): message id {message_id} forgotten: too many newer ones")
            }
            Trace::FragmentsForgotten { late } => {
                let reason = if *late { "the others did not come" } else { "a newer message" };
                write!(f, "ISAKMP:({id}): fragments from {peer} forgotten: {reason}")
            }
            Trace::RefusalSuppressed { limit } => {
                write!(f, "ISAKMP:({id}): {peer} not told: {limit} refusals in this second")
            }
            Trace::Discarded(reason) => {
                if matches!(reason, Discard::PreSharedKeyMismatch(_) | Discard::OtherKeys) {
                    write!(f, "%CRYPTO-4-IKMP_BAD_MESSAGE: IKE message from {peer} failed its ")?;
                    f.write_str("sanity check or is malformed\n")?;
                }
                write!(f, "ISAKMP:({id}): message from {peer} dropped: {reason}")
            }
            Trace::Deviation(deviation) => {
                write!(f, "ISAKMP:({id}): accepted from {peer} although forbidden: {deviation:?}")
            }
        }
    }
}

/// `phase 1`, or `phase 2` with the message ID.
struct Phase(Option<MessageId>);

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("phase 1"),
            Some(node) => write!(f, "phase 2 {node}"),
        }
    }
}

/// In some lines IOS takes the message ID for a signed number.
const fn signed(message_id: MessageId) -> i32 {
    message_id.0.cast_signed()
}

const fn mismatch(attribute: AttributeType) -> &'static str {
    match attribute {
        phase1::ENCRYPTION_ALGORITHM => "Encryption algorithm offered does not match policy!",
        phase1::KEY_LENGTH => "Proposed key length does not match policy",
        phase1::HASH_ALGORITHM => "Hash algorithm offered does not match policy!",
        phase1::AUTHENTICATION_METHOD => "Authentication method offered does not match policy!",
        phase1::GROUP_DESCRIPTION => "Diffie-Hellman group offered does not match policy!",
        phase1::LIFE_TYPE | phase1::LIFE_DURATION => "Lifetime offered does not match policy!",
        _ => "Unexpected attribute in the offer!",
    }
}

struct Reason(NodeEnd);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NodeEnd::NoError => f.write_str("No Error"),
            NodeEnd::QuickModeDone => f.write_str("QM done (await)"),
            NodeEnd::InformationalReceived => f.write_str("Informational (in) state 1"),
            NodeEnd::Failed(reason) => write!(f, "{reason}"),
        }
    }
}
