//! From where a call came: the peer, and what a proxy says of its client.

use std::{net::IpAddr, sync::Arc};

use http::Extensions;
use tonic::{
    Request,
    metadata::MetadataMap,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};

use crate::model::forwarded::{TrustedProxies, forwarded, x_forwarded_for};

/// What proxies note their clients in. A proxy adds to one of them and passes the other on as
/// the client sent it.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// Whose word about a caller is taken. The server puts it into the extensions of each
/// request; without it, nobody's is.
pub type Proxies = Arc<TrustedProxies>;

/// From where a call came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    peer: Option<IpAddr>,
    forwarded: Option<IpAddr>,
    peer_trusted: bool,
    /// Whether the caller itself is of a trusted network, and no client of a proxy there.
    caller_trusted: bool,
}

impl Source {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let peer = peer(request);
        let proxies = request.extensions().get::<Proxies>();
        let proxies = proxies.filter(|proxies| proxies.trusts(peer));
        let hops = hops(request.metadata());
        let forwarded = proxies.and_then(|proxies| proxies.client(&hops));
        let trusted_client =
            |proxies: &Proxies| forwarded.is_some_and(|client| proxies.trusts(Some(client)));
        Self {
            peer,
            forwarded,
            peer_trusted: proxies.is_some(),
            caller_trusted: proxies.is_some_and(|it| hops.is_empty() || trusted_client(it)),
        }
    }

    /// The address of the caller; `None` where nobody told it and the peer is behind a unix
    /// socket.
    pub(super) fn address(self) -> Option<IpAddr> {
        self.forwarded.or(self.peer)
    }

    /// The address of the device, where the request has a field that tells it.
    pub(super) fn device(self, told: Option<IpAddr>) -> Option<IpAddr> {
        told.filter(|_| self.caller_trusted).or(self.address())
    }

    /// The same where a trusted peer is a service in between, whose own address says nothing.
    pub(super) fn device_of_service(self, told: Option<IpAddr>) -> Option<IpAddr> {
        if self.peer_trusted {
            told.filter(|_| self.caller_trusted).or(self.forwarded)
        } else {
            self.peer
        }
    }
}

/// The address of the peer; `None` behind a unix socket.
fn peer<T>(request: &Request<T>) -> Option<IpAddr> {
    peer_of(request.extensions())
}

fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    let plain = extensions.get::<TcpConnectInfo>();
    let tls = || extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
    let info = plain.or_else(|| tls().map(TlsConnectInfo::get_ref));
    let peer = info.and_then(TcpConnectInfo::remote_addr)?;
    Some(peer.ip().to_canonical())
}

/// Whether the word of the peer that a request with these extensions is from is taken.
pub fn trusts_peer(proxies: &TrustedProxies, extensions: &Extensions) -> bool {
    proxies.trusts(peer_of(extensions))
}

/// The hops that proxies noted; one that hides all before it where both headers are there,
/// since nobody knows which of them the client made up.
fn hops(metadata: &MetadataMap) -> Vec<Option<IpAddr>> {
    let noted = |name, parse: fn(&str) -> Vec<Option<IpAddr>>| {
        let values = metadata.get_all(name).into_iter();
        let parsed = values.map(|value| value.to_str().map_or_else(|_| vec![None], parse));
        parsed.flatten().collect::<Vec<_>>()
    };
    let hops = noted(X_FORWARDED_FOR, x_forwarded_for);
    let others = noted(FORWARDED, forwarded);
    match (hops.is_empty(), others.is_empty()) {
        (false, false) => vec![None],
        (true, _) => others,
        (false, true) => hops,
    }
}
