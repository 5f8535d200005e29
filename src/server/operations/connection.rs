//! The connections of the operations port, within limits of number, time and size.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

/// How many connections at once; for one more the oldest is closed. An honest one is done in
/// milliseconds, so that those who are silent on purpose push out each other.
const MAX_CONNECTIONS: usize = 64;
/// How long a peer may take from one answer to the next.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest request, in bytes.
const MAX_REQUEST: usize = 16 * 1024;
/// How long to wait when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener, with its connections.
pub(super) struct Connections {
    listener: TcpListener,
    /// Of those that are open, oldest first, and some that have ended: each is closed when its
    /// sender is dropped.
    open: VecDeque<oneshot::Sender<()>>,
}

impl Connections {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            open: VecDeque::new(),
        }
    }

    fn admit(&mut self, stream: TcpStream) -> Connection {
        self.open.retain(|connection| !connection.is_closed());
        if self.open.len() >= MAX_CONNECTIONS {
            tracing::debug!("an operations connection is closed for another");
            self.open.pop_front();
        }
        let (kept, pushed_out) = oneshot::channel();
        self.open.push_back(kept);
        Connection::new(stream, pushed_out, LIMIT)
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return (self.admit(stream), peer),
                Err(error) => {
                    tracing::debug!(%error, "an operations connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose peer has to send a small request, and take the answer, in time.
pub(super) struct Connection {
    stream: TcpStream,
    limit: Duration,
    /// The end of the limit.
    end: Pin<Box<Sleep>>,
    /// How much was read since something was last written.
    read: usize,
    /// Ends when the connection has to make room for another.
    pushed_out: oneshot::Receiver<()>,
}

impl Connection {
    fn new(stream: TcpStream, pushed_out: oneshot::Receiver<()>, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            end: Box::pin(sleep(limit)),
            read: 0,
            pushed_out,
        }
    }

    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if Pin::new(&mut self.pushed_out).poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn written(&mut self, bytes: usize) {
        if bytes > 0 {
            self.read = 0;
            let end = Instant::now() + self.limit;
            self.end.as_mut().reset(end);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read += buffer.filled().len() - before;
        if self.read > MAX_REQUEST {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(bytes)) = written {
            self.written(bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    /// A connection with its peer, and what keeps it open.
    async fn pair(limit: Duration) -> (Connection, TcpStream, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (kept, pushed_out) = oneshot::channel();
        (Connection::new(stream, pushed_out, limit), peer, kept)
    }

    #[tokio::test]
    async fn peer_that_says_nothing_is_given_up_when_its_time_is_over() {
        let (mut connection, _peer, _kept) = pair(Duration::from_millis(20)).await;
        let mut said = [0; 16];
        let read = timeout(Duration::from_secs(60), connection.read(&mut said)).await;
        let silence = read.unwrap().unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn size_is_that_of_one_request_and_each_answer_begins_another() {
        let (mut connection, mut peer, _kept) = pair(Duration::from_secs(3600)).await;
        let mut request = vec![0; MAX_REQUEST];
        let mut answer = [0];
        for _ in 0..2 {
            let (sent, read) = tokio::join!(peer.write_all(&[1; MAX_REQUEST]), async {
                connection.read_exact(&mut request).await
            });
            sent.unwrap();
            read.unwrap();
            connection.write_all(&[2]).await.unwrap();
            peer.read_exact(&mut answer).await.unwrap();
        }
        peer.write_all(&[1; MAX_REQUEST]).await.unwrap();
        connection.read_exact(&mut request).await.unwrap();
        peer.write_all(&[1]).await.unwrap();
        let surplus = connection.read(&mut answer).await.unwrap_err();
        assert_eq!(surplus.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn each_answer_begins_the_time_anew() {
        let (mut connection, mut peer, _kept) = pair(Duration::from_secs(3600)).await;
        let before = connection.end.deadline();
        connection.write_all(&[2]).await.unwrap();
        assert!(connection.end.deadline() > before);
        peer.read_exact(&mut [0]).await.unwrap();
    }
}
