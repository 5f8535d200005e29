//! One listener: TCP or a unix socket.

use std::{future::Future, io, path::Path, time::Duration};

use futures_util::stream::{self, Stream};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tonic::transport::server::Router;

use super::CallStack;
use crate::config::ListenAddress;

/// How long to wait when a connection cannot be accepted, for want of file descriptors
/// for example: the loop goes on, and does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener.
pub struct Listener {
    address: ListenAddress,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    ///
    /// When the address is taken or not to be had.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                Ok(Self {
                    address: ListenAddress::Tcp(listener.local_addr()?),
                    socket: Socket::Tcp(listener),
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

    /// Serves until `stop` completes and every call has ended.
    pub(super) async fn serve(
        self,
        router: Router<CallStack>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        match self.socket {
            Socket::Tcp(listener) => {
                let incoming = accept(listener, accept_tcp);
                router.serve_with_incoming_shutdown(incoming, stop).await
            }
            Socket::Unix(listener) => {
                let incoming = accept(listener, accept_unix);
                let result = router.serve_with_incoming_shutdown(incoming, stop).await;
                if let ListenAddress::Unix(path) = &self.address {
                    let _ = std::fs::remove_file(path);
                }
                result
            }
        }
    }
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(_) => Ok(()),
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<TcpStream> {
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
) -> impl Stream<Item = io::Result<C>> {
    stream::unfold((listener, accept), async |(listener, accept)| {
        loop {
            match accept(&listener).await {
                Ok(connection) => return Some((Ok(connection), (listener, accept))),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}
