//! Handshakes, each in a task of its own, so that none holds up the others.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::stream::{self, Stream};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Tls;
use crate::server::{
    listen::{ACCEPT_PAUSE, accept_tcp},
    opening::Opening,
};

/// How many handshakes are under way at most; for one more the oldest is given up. An
/// honest one takes milliseconds, so that those who are slow on purpose push out each other.
const MAX_HANDSHAKES: usize = 1024;

/// The connections of a listener whose handshake has succeeded within `limit`, each of
/// which may then be silent for as long. A failure never ends the stream.
pub(in crate::server) fn shake_hands(
    listener: TcpListener,
    tls: Arc<Tls>,
    limit: Duration,
) -> impl Stream<Item = io::Result<Opening<TlsStream<TcpStream>>>> {
    let handshakes = Handshakes {
        listener,
        tls,
        limit,
        max: MAX_HANDSHAKES,
        under_way: JoinSet::new(),
        by_age: VecDeque::new(),
    };
    stream::unfold(handshakes, |mut handshakes| async {
        let connection = handshakes.next().await;
        let opening = Opening::new(connection, handshakes.limit);
        Some((Ok(opening), handshakes))
    })
}

struct Handshakes {
    listener: TcpListener,
    tls: Arc<Tls>,
    limit: Duration,
    max: usize,
    under_way: JoinSet<Option<TlsStream<TcpStream>>>,
    /// Those under way, oldest first, and some that have ended.
    by_age: VecDeque<AbortHandle>,
}

impl Handshakes {
    async fn next(&mut self) -> TlsStream<TcpStream> {
        loop {
            tokio::select! {
                accepted = accept_tcp(&self.listener) => match accepted {
                    Ok(stream) => self.begin(stream),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = self.under_way.join_next() => {
                    if let Ok(Some(stream)) = ended {
                        return stream;
                    }
                }
            }
        }
    }

    fn begin(&mut self, stream: TcpStream) {
        if self.under_way.len() >= self.max {
            self.give_up_oldest();
        }
        if self.by_age.len() >= 2 * self.max {
            self.by_age.retain(|handshake| !handshake.is_finished());
        }
        let acceptor = TlsAcceptor::from(self.tls.config());
        let handshake = self
            .under_way
            .spawn(shake_hand(acceptor, stream, self.limit));
        self.by_age.push_back(handshake);
    }

    fn give_up_oldest(&mut self) {
        while let Some(oldest) = self.by_age.pop_front() {
            if !oldest.is_finished() {
                tracing::debug!("a TLS handshake is given up for another");
                oldest.abort();
                return;
            }
        }
    }
}

async fn shake_hand(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> Option<TlsStream<TcpStream>> {
    let peer: Option<SocketAddr> = stream.peer_addr().ok();
    match timeout(limit, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(?peer, %error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(?peer, "a TLS handshake took too long");
            None
        }
    }
}
