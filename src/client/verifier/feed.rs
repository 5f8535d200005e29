//! The feed of revocations: opened, followed, and opened again for as long as there is a
//! verifier.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming, transport::Endpoint};

use super::{revocations::Recorder, shared::Shared};
use crate::{
    client::{
        answer,
        backoff::Backoff,
        clock::timestamp_micros,
        endpoint::channel,
        token_source::{AccessToken, TokenError, TokenSource},
    },
    proto::v1::{
        Revocation, WatchRevocationsRequest, WatchRevocationsResponse, revocation::Kind,
        verification_client::VerificationClient, watch_revocations_response::Message,
    },
};

/// How long to wait before the feed is opened again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Follows the feed. What it learns, it puts into [`Shared`].
pub(super) struct Feed {
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: Endpoint,
    pub(super) tokens: TokenSource,
    recorder: Recorder,
    /// Where the feed is to go on; empty for a whole snapshot.
    cursor: String,
    /// The latest time that any stream told.
    latest: Option<i64>,
    retention: Duration,
    /// For how long the server may be silent.
    pub(super) silence: Duration,
    backoff: Backoff,
}

/// Why the feed cannot be followed.
#[derive(Debug)]
pub(super) enum Broken {
    /// There is no access token to open it with.
    Token(TokenError),
    /// The stream ended.
    Status(Box<Status>),
    /// The stream was silent for too long.
    Silent,
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

type Stream = Streaming<WatchRevocationsResponse>;

impl Feed {
    /// A feed that may take as long as `silence` to say anything when it is first opened: who
    /// begins has nothing to go by yet, and waits for as long as beginning may take.
    pub(super) fn new(
        shared: Arc<Shared>,
        endpoint: Endpoint,
        tokens: TokenSource,
        silence: Duration,
    ) -> Self {
        Self {
            shared,
            endpoint,
            tokens,
            recorder: Recorder::default(),
            cursor: String::new(),
            latest: None,
            retention: Duration::ZERO,
            silence,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
        }
    }

    /// Follows a feed that is open, and opens it again, for ever.
    pub(super) async fn run(mut self, mut stream: Stream) {
        self.silence = self.shared.silence();
        loop {
            let mut broken = self.follow(&mut stream).await;
            stream = loop {
                let wait = self.pause(&broken);
                tracing::warn!(why = broken.text(), ?wait, "the feed of revocations broke");
                tokio::time::sleep(wait).await;
                match self.open().await {
                    Ok(stream) => break stream,
                    Err(again) => broken = again,
                }
            };
            tracing::info!("the feed of revocations is open again");
        }
    }

    /// Opens the feed, and takes in what happened before.
    ///
    /// Over a connection of its own: where one went silent, another may reach a replica
    /// that does not.
    pub(super) async fn open(&mut self) -> Result<Stream, Broken> {
        let token = self.tokens.access_token().await.map_err(Broken::Token)?;
        let opened = match self.watch(&token).await {
            Err(Broken::Status(status)) if status.code() == Code::Unauthenticated => {
                let token = self.tokens.replace(&token).await.map_err(Broken::Token)?;
                self.watch(&token).await
            }
            opened => opened,
        };
        let mut stream = opened?;
        self.take_snapshot(&mut stream).await?;
        Ok(stream)
    }

    async fn watch(&self, token: &AccessToken) -> Result<Stream, Broken> {
        let request: Request<_> = token.request(WatchRevocationsRequest {
            cursor: self.cursor.clone(),
        });
        let mut client = VerificationClient::new(channel(&self.endpoint));
        let opening = timeout(self.silence, client.watch_revocations(request));
        let opened = opening.await.map_err(|_| Broken::Silent)?;
        Ok(opened?.into_inner())
    }

    /// Takes in a snapshot: a whole one replaces what was known, another adds to it.
    async fn take_snapshot(&mut self, stream: &mut Stream) -> Result<(), Broken> {
        let mut told: Vec<Revocation> = Vec::new();
        loop {
            let response = self.next(stream).await?;
            let time = time(&response);
            match response.message {
                Some(Message::Revocations(batch)) => told.extend(batch.revocations),
                Some(Message::SnapshotComplete(complete)) => {
                    if complete.whole {
                        self.recorder = self.recorder.anew();
                    }
                    self.retention = Duration::from_secs(complete.retention_seconds.into());
                    let now = time.unwrap_or_else(|| self.shared.freshness.times().database);
                    self.record(&told, now);
                    self.hear(response.cursor, time, self.latest);
                    return Ok(());
                }
                // Or a server that never comes to the end of it would be waited for.
                Some(Message::Heartbeat(_)) | None => {
                    return Err(Status::internal("the snapshot did not end").into());
                }
            }
        }
    }

    /// Takes in what the stream says until it breaks.
    async fn follow(&mut self, stream: &mut Stream) -> Broken {
        let mut last = None;
        loop {
            let response = match self.next(stream).await {
                Ok(response) => response,
                Err(broken) => return broken,
            };
            self.backoff.reset();
            let time = time(&response);
            if let Some(Message::Revocations(batch)) = response.message {
                let now = time.unwrap_or_else(|| self.shared.freshness.times().database);
                self.record(&batch.revocations, now);
            } else if let Some(now) = time {
                self.record(&[], now);
            }
            self.hear(response.cursor, time, last.or(self.latest));
            last = time.or(last);
        }
    }

    async fn next(&self, stream: &mut Stream) -> Result<WatchRevocationsResponse, Broken> {
        let message = timeout(self.silence, stream.message()).await;
        let ended = || Status::unavailable("the server ended the stream");
        let message = message.map_err(|_| Broken::Silent)??;
        Ok(message.ok_or_else(ended)?)
    }

    fn record(&mut self, batch: &[Revocation], now: i64) {
        if !batch.is_empty() {
            self.recorder.add(batch, now);
        }
        self.recorder.tidy(now, self.retention + self.shared.leeway);
        self.shared.publish(self.recorder.set());
        let is_drop =
            |revocation: &Revocation| matches!(revocation.kind, Some(Kind::KeyDropped(_)));
        if batch.iter().any(is_drop) {
            let shared = self.shared.clone();
            tokio::spawn(async move { shared.keys.fetch_now().await });
        }
    }

    /// Notes where the feed is. Only a time after `last` is news: a server that cannot ask
    /// its database repeats itself, also to one who comes back.
    fn hear(&mut self, cursor: String, time: Option<i64>, last: Option<i64>) {
        if !cursor.is_empty() {
            self.cursor = cursor;
        }
        let Some(time) = time else {
            return;
        };
        if last.is_none_or(|last| time > last) {
            self.shared.freshness.hear(time);
        }
        self.latest = self.latest.max(Some(time));
    }

    /// How long to wait; and what the failure says of how to go on.
    fn pause(&mut self, broken: &Broken) -> Duration {
        let wait = self.backoff.next();
        let Broken::Status(status) = broken else {
            return wait;
        };
        // A cursor of another database, after it was replaced: begin anew.
        if status.code() == Code::InvalidArgument {
            self.cursor.clear();
        }
        answer::retry_delay(status).map_or(wait, |asked| wait.max(asked).min(LONGEST_WAIT))
    }
}

impl Broken {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Token(error) => error.to_string(),
            Self::Status(status) => answer::text(status),
            Self::Silent => "nothing was heard for too long".to_owned(),
        }
    }
}

/// The time up to which a message has told everything.
fn time(response: &WatchRevocationsResponse) -> Option<i64> {
    response.time.as_ref().map(timestamp_micros)
}
