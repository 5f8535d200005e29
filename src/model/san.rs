//! The names in a client's certificate (RFC 5280 section 4.2.1.6).

use std::{fmt, str::FromStr};

/// A subject alternative name. Names of two kinds are never the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// The name of a host.
    Dns(String),
    /// A URI, of SPIFFE for example.
    Uri(String),
    /// An email address.
    Email(String),
}

/// A name that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a DNS name, a URI with `://`, or an email address, in ASCII without spaces")]
pub struct InvalidSan;

impl FromStr for San {
    type Err = InvalidSan;

    fn from_str(text: &str) -> Result<Self, InvalidSan> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSan);
        }
        let text = text.to_owned();
        Ok(if text.contains("://") {
            Self::Uri(text)
        } else if text.contains('@') {
            Self::Email(text)
        } else {
            Self::Dns(text)
        })
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Dns(name) | Self::Uri(name) | Self::Email(name)) = self;
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_of_a_name_is_told_from_its_form() {
        for (text, san) in [
            ("orders.internal", San::Dns("orders.internal".to_owned())),
            (
                "spiffe://prod/orders@eu",
                San::Uri("spiffe://prod/orders@eu".to_owned()),
            ),
            ("ops@id.test", San::Email("ops@id.test".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(san.clone()));
            assert_eq!(san.to_string(), text);
        }
        for bad in ["", "a b", "bücher.example", "a\n"] {
            assert_eq!(bad.parse::<San>(), Err(InvalidSan), "{bad:?}");
        }
    }
}
