use super::ParseError;

/// What is left to read of a structure, and where in the packet it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `octets`, whose first is at `offset` of the packet.
    pub(super) const fn new(octets: &'a [u8], offset: usize) -> Self {
        Self { octets, offset }
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) const fn remaining(&self) -> usize {
        self.octets.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Takes the next `count` octets, which are `what`, to be read on their own.
    pub(super) fn take(&mut self, what: &'static str, count: usize) -> Result<Self, ParseError> {
        let (taken, rest) = self.octets.split_at_checked(count).ok_or(ParseError::Truncated {
            what,
            offset: self.offset,
            needed: count,
            have: self.octets.len(),
        })?;
        let taken = Self { octets: taken, offset: self.offset };
        *self = Self { octets: rest, offset: self.offset.saturating_add(count) };
        Ok(taken)
    }

    pub(super) fn octets(
        &mut self,
        what: &'static str,
        count: usize,
    ) -> Result<&'a [u8], ParseError> {
        self.take(what, count).map(|taken| taken.octets)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], ParseError> {
        let truncated =
            ParseError::Truncated { what, offset: self.offset, needed: N, have: self.octets.len() };
        let (taken, rest) = self.octets.split_first_chunk().ok_or(truncated)?;
        *self = Self { octets: rest, offset: self.offset.saturating_add(N) };
        Ok(*taken)
    }

    /// All that is left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.octets
    }
}
