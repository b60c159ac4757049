//! Open code points: a newtype over the wire's integer, with a constant and a name for each
//! value that is assigned. An unassigned value is as good a value as any other.

/// Declares one code point type. `$kind` is what an unassigned value is called when displayed.
macro_rules! code_points {
    (
        $(#[$meta:meta])*
        $name:ident($repr:ty), $kind:literal {
            $( $constant:ident = $value:literal, $text:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            $(
                #[doc = concat!($text, ", ", stringify!($value), ".")]
                pub const $constant: Self = Self($value);
            )*

            /// The assigned name, if the value has one here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $( Self::$constant => Some($text), )*
                    _ => None,
                }
            }
        }

        /// The assigned name, or the kind of code point with its number.
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, concat!($kind, " {}"), self.0),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{}({}, {name})", stringify!($name), self.0),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }
    };
}

pub(super) use code_points;
