//! `rollcall serve`.

use std::{error::Error, io};

use tokio::signal::unix::{SignalKind, signal};

use crate::{config::Serve, server::Server};

pub(super) async fn serve(config: Serve) -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_signal()?;
    Server::bind(config).await?.run(shutdown).await?;
    Ok(())
}

/// Completes at SIGTERM or SIGINT.
pub(super) fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
