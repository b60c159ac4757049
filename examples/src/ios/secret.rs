//! Text that is not to be seen.

use core::fmt;

/// A key or a password: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What is seen of it.
    pub(super) const HIDDEN: &str = "(..)";

    /// From its characters.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its characters.
    #[must_use]
    pub fn dangerous_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}
