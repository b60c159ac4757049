//! An input read as a script: numbers and strings of octets from its front, zeros behind its end.

use arbitrary::Unstructured;

pub(crate) struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(Unstructured::new(input))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn u16(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.u8() & 1 != 0
    }

    /// One of `len` places; 0 if there are none.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::from(self.u16()) % len.max(1)
    }

    /// Octets behind their count, fewer at the end of the input.
    pub(crate) fn octets(&mut self) -> &'a [u8] {
        let len = usize::from(self.u8()).min(self.0.len());
        self.0.bytes(len).unwrap_or_default()
    }
}
