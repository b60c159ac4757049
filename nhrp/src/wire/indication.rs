use bytes::Bytes;

use super::ErrorCode;

/// What an error indication carries besides its addresses (RFC 2332 §5.2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorIndication {
    /// Unused.
    pub unused: u16,
    /// What went wrong.
    pub code: ErrorCode,
    /// Where, in octets from the start of the packet in error.
    pub offset: u16,
    /// The packet in error, or its beginning.
    pub contents: Bytes,
}

/// What a traffic indication carries besides its addresses (draft-detienne-dmvpn-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficIndication {
    /// Unused, where other packets have their flags.
    pub unused: u16,
    /// 0: redirect.
    pub code: u16,
    /// Unused.
    pub unused_after_code: u16,
    /// The beginning of the packet that caused it: Cisco sends its IP header and 8 octets more.
    pub contents: Bytes,
}
