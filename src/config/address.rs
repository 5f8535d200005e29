//! Where to listen.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// Where to listen: `HOST:PORT`, or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("the path of the unix socket is missing".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "must be an address and a port, 127.0.0.1:50051, or unix:PATH".to_owned()
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let parse = |text: &str| text.parse::<ListenAddress>();
        assert_eq!(parse("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(parse("[::1]:50051").unwrap().to_string(), "[::1]:50051");
        assert_eq!(
            parse("unix:/run/r.sock").unwrap().to_string(),
            "unix:/run/r.sock"
        );
        for bad in ["", "localhost", "unix:", "127.0.0.1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
