//! One listener: TCP, with TLS or without, or a unix socket.

use std::{future::Future, io, os::unix::fs::FileTypeExt, path::Path, sync::Arc, time::Duration};

use futures_util::stream::{self, Stream};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tonic::transport::server::Router;

use super::{
    CallStack,
    opening::Opening,
    tls::{Tls, shake_hands},
};
use crate::config::ListenAddress;

/// How long to wait when a connection cannot be accepted, for want of file descriptors
/// for example: the loop goes on, and does not spin.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener.
pub struct Listener {
    address: ListenAddress,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<Tls>),
    Unix(UnixListener),
}

impl Listener {
    /// Binds, for TLS or plain text. A socket file that nobody listens on any more is
    /// replaced.
    ///
    /// # Errors
    ///
    /// When the address is taken or not to be had.
    pub(super) async fn bind(address: &ListenAddress, tls: Option<Arc<Tls>>) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                Ok(Self {
                    address: ListenAddress::Tcp(listener.local_addr()?),
                    socket: match tls {
                        Some(tls) => Socket::Tls(listener, tls),
                        None => Socket::Tcp(listener),
                    },
                })
            }
            ListenAddress::Unix(path) => {
                remove_stale(path).await?;
                Ok(Self {
                    address: address.clone(),
                    socket: Socket::Unix(UnixListener::bind(path)?),
                })
            }
        }
    }

    pub(super) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Whether others than this machine can read what is said.
    pub(super) fn can_be_overheard(&self) -> bool {
        let is_plain = matches!(self.socket, Socket::Tcp(_));
        let loopback = |address: &ListenAddress| match address {
            ListenAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
            ListenAddress::Unix(_) => true,
        };
        is_plain && !loopback(&self.address)
    }

    /// Serves until `stop` completes and every call has ended. A new connection may be
    /// silent for `silence`.
    pub(super) async fn serve(
        self,
        router: Router<CallStack>,
        silence: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        match self.socket {
            Socket::Tcp(listener) => {
                let incoming = accept(listener, accept_tcp, silence);
                router.serve_with_incoming_shutdown(incoming, stop).await
            }
            Socket::Tls(listener, tls) => {
                let incoming = shake_hands(listener, tls.clone(), silence);
                tokio::select! {
                    served = router.serve_with_incoming_shutdown(incoming, stop) => served,
                    never = tls.follow() => match never {},
                }
            }
            Socket::Unix(listener) => {
                let incoming = accept(listener, accept_unix, silence);
                // Before the drain, in which a successor may already bind the path.
                let stop = async {
                    stop.await;
                    if let ListenAddress::Unix(path) = &self.address {
                        let _ = std::fs::remove_file(path);
                    }
                };
                router.serve_with_incoming_shutdown(incoming, stop).await
            }
        }
    }
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

pub(super) async fn accept_tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn accept_unix(listener: &UnixListener) -> io::Result<UnixStream> {
    Ok(listener.accept().await?.0)
}

/// The connections of a listener. A failure to accept one never ends the stream.
fn accept<L, C>(
    listener: L,
    accept: impl AsyncFn(&L) -> io::Result<C>,
    silence: Duration,
) -> impl Stream<Item = io::Result<Opening<C>>> {
    stream::unfold((listener, accept), move |(listener, accept)| async move {
        loop {
            match accept(&listener).await {
                Ok(connection) => {
                    let opening = Opening::new(connection, silence);
                    return Some((Ok(opening), (listener, accept)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}
