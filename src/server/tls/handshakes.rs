//! Handshakes, each in a task of its own, so that none holds up the others.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::stream::{self, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
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

/// How long a peer whose handshake failed has to read why.
const LINGER: Duration = Duration::from_secs(1);

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

/// Lets the peer read the alert that says why: to close a connection on which more has come
/// would throw it away.
async fn say_goodbye(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn shake_hand(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> Option<TlsStream<TcpStream>> {
    let peer: Option<SocketAddr> = stream.peer_addr().ok();
    match timeout(limit, acceptor.accept(stream).into_fallible()).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err((error, stream))) => {
            tracing::debug!(?peer, %error, "a TLS handshake failed");
            let _ = timeout(LINGER, say_goodbye(stream)).await;
            None
        }
        Err(_) => {
            tracing::debug!(?peer, "a TLS handshake took too long");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsFiles;
    use crate::metrics::KeyMetrics;

    fn tls() -> Tls {
        let name = format!("rollcall-handshakes-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let pair = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        let files = TlsFiles {
            certificate: folder.join("certificate"),
            key: folder.join("key"),
            client_ca: None,
            reload_interval: Duration::from_secs(5),
        };
        std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
        std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
        let tls = Tls::load(files, KeyMetrics::default()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        tls
    }

    #[tokio::test]
    async fn oldest_handshake_is_given_up_for_one_more_than_there_may_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut handshakes = Handshakes {
            listener,
            tls: Arc::new(tls()),
            limit: Duration::from_secs(3600),
            max: 2,
            under_way: JoinSet::new(),
            by_age: VecDeque::new(),
        };
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let _third = TcpStream::connect(address).await.unwrap();
        let mut said = [0; 16];
        let read = tokio::select! {
            _ = handshakes.next() => panic!("nobody has said anything"),
            read = first.read(&mut said) => read,
        };
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert_eq!(handshakes.by_age.len(), 2);
        let still_open = timeout(Duration::ZERO, second.read(&mut said)).await;
        assert!(still_open.is_err(), "{still_open:?}");
    }
}
