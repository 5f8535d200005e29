//! Whose word about a caller's address is taken: that of the proxies which the operator names
//! (RFC 9700 section 4.13), and nobody else's.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;

/// The networks of the proxies, and of the services in between, whose word is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Networks in CIDR form or single addresses, separated by commas; an empty text names
    /// none.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let network = |part: &str| {
            let address = || part.parse::<IpAddr>().map(IpNet::from);
            part.parse::<IpNet>()
                .or_else(|_| address())
                .map_err(|_| format!("{part:?} is neither a network in CIDR form nor an address"))
        };
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Whether the word of a peer is taken. One without an address is behind a unix socket,
    /// whose file says who may connect.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| self.0.iter().any(|network| network.contains(&peer)))
    }

    /// The client's address among the hops that proxies have noted, nearest to the client
    /// first: the last one that is no trusted proxy, since what is before it anybody could
    /// have sent. A hop that is no address hides what is before it.
    #[must_use]
    pub fn client(&self, hops: &[Option<IpAddr>]) -> Option<IpAddr> {
        let mut client = None;
        for hop in hops.iter().rev() {
            let address = (*hop)?;
            client = Some(address);
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// The hops of `x-forwarded-for`.
#[must_use]
pub fn x_forwarded_for(value: &str) -> Vec<Option<IpAddr>> {
    value.split(',').map(|hop| address(hop.trim())).collect()
}

/// The hops of `forwarded` (RFC 7239 section 4).
#[must_use]
pub fn forwarded(value: &str) -> Vec<Option<IpAddr>> {
    let hop = |element: String| {
        let pairs = split_unquoted(&element, ';');
        let node = pairs.iter().find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let is_for = name.trim().eq_ignore_ascii_case("for");
            is_for.then(|| value.trim().trim_matches('"').to_owned())
        });
        node.and_then(|node| address(&node))
    };
    split_unquoted(value, ',').into_iter().map(hop).collect()
}

/// An address, with or without brackets and a port.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let address = bare.unwrap_or(node).parse::<IpAddr>();
    let address = address.or_else(|_| node.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Splits at a separator that is not within quotation marks.
fn split_unquoted(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        }
        if c == separator && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies() -> TrustedProxies {
        "10.0.0.0/8, ::1".parse().unwrap()
    }

    #[test]
    fn networks_and_addresses_are_told_from_nonsense() {
        assert!(proxies().trusts(Some(ip("10.1.2.3"))));
        assert!(proxies().trusts(Some(ip("::1"))));
        assert!(!proxies().trusts(Some(ip("192.0.2.1"))));
        assert!(proxies().trusts(None));
        assert!(
            !"".parse::<TrustedProxies>()
                .unwrap()
                .trusts(Some(ip("::1")))
        );
        for bad in ["10.0.0.0/33", "proxy.example", "10.0.0.0/8 ::1"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
    }

    #[test]
    fn client_is_the_last_hop_that_is_no_proxy() {
        let client = |value: &str| proxies().client(&x_forwarded_for(value));
        let known = Some(ip("192.0.2.7"));
        assert_eq!(client("192.0.2.7"), known);
        assert_eq!(client("203.0.113.9, 192.0.2.7, 10.0.0.1"), known);
        assert_eq!(client("192.0.2.7:4711"), known);
        assert_eq!(client("::ffff:192.0.2.7"), known);
        assert_eq!(client("10.0.0.2, 10.0.0.1"), Some(ip("10.0.0.2")));
        assert_eq!(client("192.0.2.7, unknown, 10.0.0.1"), None);
        assert_eq!(client(""), None);
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let client = |value: &str| proxies().client(&forwarded(value));
        assert_eq!(
            client("for=192.0.2.60;proto=http;by=203.0.113.43"),
            Some(ip("192.0.2.60"))
        );
        assert_eq!(
            client("by=10.0.0.9; For=\"[2001:db8::17]:4711\""),
            Some(ip("2001:db8::17"))
        );
        assert_eq!(
            client("for=\"a,b;c\", for=192.0.2.43, for=10.0.0.1"),
            Some(ip("192.0.2.43"))
        );
        assert_eq!(client("for=192.0.2.43, for=_hidden"), None);
        assert_eq!(client("proto=https"), None);
    }
}
