//! The yardstick of the fan-out: a server of the same RPC that knows nothing, checks
//! nothing, and has every message at hand.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use rollcall::proto::v1::{
    GetJwksRequest, GetJwksResponse, IntrospectRequest, IntrospectResponse, Revocation,
    Revocations, SessionEnded, SnapshotComplete, WatchRevocationsRequest, WatchRevocationsResponse,
    revocation::Kind,
    verification_server::{Verification, VerificationServer},
    watch_revocations_response::Message,
};
use tokio::sync::watch;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Tells `count` messages of a size to each watcher, once it may.
#[derive(Clone)]
pub struct Bare {
    message: Arc<WatchRevocationsResponse>,
    count: usize,
    go: watch::Receiver<bool>,
}

impl Bare {
    /// Begins to serve, and answers where, and how to let it tell.
    pub fn serve(count: usize, size: usize) -> (SocketAddr, watch::Sender<bool>) {
        let (sender, go) = watch::channel(false);
        let message = Arc::new(message(size));
        let bare = Self { message, count, go };
        let any = "127.0.0.1:0".parse().expect("an address");
        let incoming = TcpIncoming::bind(any)
            .expect("binds")
            .with_nodelay(Some(true));
        let address = incoming.local_addr().expect("is bound");
        let service = VerificationServer::new(bare);
        let serving = Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(incoming));
        (address, sender)
    }

    fn told(&self) -> impl Stream<Item = WatchRevocationsResponse> + use<> {
        let Self {
            message,
            count,
            mut go,
        } = self.clone();
        let told = async move {
            // It fails when the benchmark is over.
            let _ = go.wait_for(|go| *go).await;
            stream::repeat_with(move || (*message).clone()).take(count)
        };
        let complete = WatchRevocationsResponse {
            message: Some(Message::SnapshotComplete(SnapshotComplete::default())),
            ..WatchRevocationsResponse::default()
        };
        let complete = stream::iter([complete]);
        complete
            .chain(stream::once(told).flatten())
            .chain(stream::pending())
    }
}

/// As many revocations as the real server puts into one.
fn message(size: usize) -> WatchRevocationsResponse {
    let revocation = || Revocation {
        kind: Some(Kind::SessionEnded(SessionEnded {
            session_id: uuid::Uuid::from_u128(7).to_string(),
            user_id: uuid::Uuid::from_u128(7).to_string(),
        })),
        time: Some(prost_types::Timestamp {
            seconds: 1_795_000_000,
            nanos: 123_456_000,
        }),
    };
    let revocations = (0..size).map(|_| revocation()).collect();
    WatchRevocationsResponse {
        message: Some(Message::Revocations(Revocations { revocations })),
        ..WatchRevocationsResponse::default()
    }
}

#[tonic::async_trait]
impl Verification for Bare {
    type WatchRevocationsStream = BoxStream<'static, Result<WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        _: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        Ok(Response::new(self.told().map(Ok).boxed()))
    }

    async fn get_jwks(
        &self,
        _: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        Ok(Response::new(GetJwksResponse::default()))
    }

    async fn introspect(
        &self,
        _: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        Ok(Response::new(IntrospectResponse::default()))
    }
}
