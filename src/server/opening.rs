//! Connections that say nothing: HTTP/2's keepalive watches a connection only once its
//! preface has come.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tonic::transport::server::Connected;

/// The length of a client's preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// A connection that fails unless the preface comes within a limit, so that a silent
/// peer neither keeps it for ever nor holds up the drain.
pub(super) struct Opening<C> {
    connection: C,
    /// While the preface has not come: how many bytes of it are missing.
    waiting: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<C> Opening<C> {
    pub(super) fn new(connection: C, limit: Duration) -> Self {
        Self {
            connection,
            waiting: Some((PREFACE, Box::pin(sleep(limit)))),
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Opening<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buffer);
        let Some((missing, limit)) = &mut self.waiting else {
            return read;
        };
        if read.is_pending() {
            ready!(limit.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *missing = missing.saturating_sub(buffer.filled().len() - before);
        if *missing == 0 {
            self.waiting = None;
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Opening<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

impl<C: Connected> Connected for Opening<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}
