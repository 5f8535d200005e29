//! Many watchers of one server, on few connections.

use futures_util::{StreamExt, stream};
use rollcall::proto::v1::{
    GetJwksRequest, WatchRevocationsRequest, WatchRevocationsResponse,
    verification_client::VerificationClient, watch_revocations_response::Message,
};
use tonic::{Streaming, transport::Channel};

use crate::replica::SignedIn;

/// How many are opened at once.
const OPENING: usize = 32;

/// One watcher.
pub type Watch = Streaming<WatchRevocationsResponse>;

/// Has each connection made.
pub async fn connect(channels: &[Channel]) {
    for channel in channels {
        let mut client = VerificationClient::new(channel.clone());
        client.get_jwks(GetJwksRequest {}).await.expect("answers");
    }
}

/// Subscribes `count` times, and reads each snapshot to its end.
pub async fn subscribe(channels: &[Channel], count: usize, caller: &SignedIn) -> Vec<Watch> {
    let opening = (0..count).map(|number| {
        let mut client = VerificationClient::new(channels[number % channels.len()].clone());
        let request = caller.request(WatchRevocationsRequest::default());
        async move {
            let watch = client.watch_revocations(request).await;
            let mut watch = watch.expect("subscribes").into_inner();
            let complete = |it: &WatchRevocationsResponse| {
                matches!(it.message, Some(Message::SnapshotComplete(_)))
            };
            while !complete(&next(&mut watch).await) {}
            watch
        }
    });
    stream::iter(opening)
        .buffer_unordered(OPENING)
        .collect()
        .await
}

/// The next message.
pub async fn next(watch: &mut Watch) -> WatchRevocationsResponse {
    let message = watch.message().await.expect("goes on");
    message.expect("has no end")
}

/// Reads until there were `count` revocations.
pub async fn hear(watch: &mut Watch, count: usize) {
    let mut heard = 0;
    while heard < count {
        if let Some(Message::Revocations(told)) = next(watch).await.message {
            heard += told.revocations.len();
        }
    }
}
