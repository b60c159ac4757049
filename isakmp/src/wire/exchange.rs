use super::code_point::code_points;
use core::fmt;

code_points! {
    /// The exchange a message belongs to (RFC 2408 §3.1, RFC 2409 App. A).
    ExchangeType(u8), "exchange type" {
        NONE = 0, "none";
        BASE = 1, "base";
        MAIN_MODE = 2, "main mode";
        AUTHENTICATION_ONLY = 3, "authentication only";
        AGGRESSIVE = 4, "aggressive mode";
        INFORMATIONAL = 5, "informational";
        TRANSACTION = 6, "transaction";
        QUICK_MODE = 32, "quick mode";
        NEW_GROUP_MODE = 33, "new group mode";
    }
}

/// The flags of the header (RFC 2408 §3.1). Unassigned bits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// E: what follows the header is encrypted.
    pub const ENCRYPTION: Self = Self(1);
    /// C: the peer asks to wait for its CONNECTED notification.
    pub const COMMIT: Self = Self(2);
    /// A: authenticated but not encrypted notification.
    pub const AUTHENTICATION_ONLY: Self = Self(4);

    /// Whether all the bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The letters of the bits that are set, `-` for none.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        for (flag, letter) in
            [(Self::ENCRYPTION, "E"), (Self::COMMIT, "C"), (Self::AUTHENTICATION_ONLY, "A")]
        {
            if self.contains(flag) {
                f.write_str(letter)?;
            }
        }
        match self.0 & !7 {
            0 => Ok(()),
            unassigned => write!(f, "+0x{unassigned:02x}"),
        }
    }
}
