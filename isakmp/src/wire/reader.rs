use super::ParseError;

/// What is left to read of a structure, and where in the message it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, whose first is at `offset` of the message.
    pub(super) const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) const fn remaining(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the next `count` octets, which are `what`.
    pub(super) fn take(&mut self, what: &'static str, count: usize) -> Result<Self, ParseError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(ParseError::Truncated {
            what,
            offset: self.offset,
            needed: count,
            have: self.bytes.len(),
        })?;
        let taken = Self { bytes: taken, offset: self.offset };
        *self = Self { bytes: rest, offset: self.offset.saturating_add(count) };
        Ok(taken)
    }

    /// Takes a structure of at least `minimum` octets whose 16-bit length field, two octets from
    /// its start, counts all of it (a payload, a proposal, a transform).
    pub(super) fn take_counted(
        &mut self,
        what: &'static str,
        minimum: usize,
    ) -> Result<Self, ParseError> {
        let mut header = *self;
        let start = header.take(what, minimum)?;
        let mut length = Self { bytes: start.bytes.get(2..).unwrap_or_default(), ..start };
        let length = usize::from(length.u16(what)?);
        if length < minimum {
            return Err(ParseError::LengthTooSmall { what, offset: self.offset, length, minimum });
        }
        self.take(what, length)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], ParseError> {
        let offset = self.offset;
        let taken = self.take(what, N)?.bytes;
        let have = taken.len();
        taken.try_into().map_err(|_| ParseError::Truncated { what, offset, needed: N, have })
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, ParseError> {
        self.array(what).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, ParseError> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, ParseError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes;
        *self = Self { bytes: &[], offset: self.offset.saturating_add(rest.len()) };
        rest
    }

    /// Fails if anything of `what` is left.
    pub(super) fn finish(&self, what: &'static str) -> Result<(), ParseError> {
        match self.bytes.len() {
            0 => Ok(()),
            excess => Err(ParseError::Excess { what, offset: self.offset, excess }),
        }
    }
}
