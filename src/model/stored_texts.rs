//! Names that rows have for the values of an enum.

/// Declares an enum together with the texts that rows have for its values.
macro_rules! stored_texts {
    ($(#[$attr:meta])* pub enum $of:ident { $($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)? }) => {
        $(#[$attr])*
        pub enum $of {
            $($(#[$doc])* $name),+
        }

        impl $of {
            /// Every value.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];

            /// The text of the value in a row.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }

            /// The value that has this text in a row.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use stored_texts;
