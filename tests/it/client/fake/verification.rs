//! The fake's `Verification`.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use rollcall::proto::v1::{
    self, ErrorReason, Revocation, WatchRevocationsResponse, revocation::Kind,
    verification_server::Verification, watch_revocations_response::Message,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::{Code, Request, Response, Status};

use super::{RETENTION, Signer, State, now, refused, unpoisoned};
use crate::client::timestamp;

/// How often the feed gives a sign of life.
const BEAT: Duration = Duration::from_millis(20);

type Told = Result<WatchRevocationsResponse, Status>;

/// What `Verification` knows and has seen.
pub struct FeedState {
    pub keys: Vec<v1::Jwk>,
    /// How often the keys were fetched.
    pub fetches: usize,
    /// Whether a fetch of the keys fails.
    pub keys_fail: bool,
    /// The cursors that the feed was opened with.
    pub cursors: Vec<String>,
    /// What a feed that is opened is told instead.
    pub refusal: Option<Status>,
    /// Whether nothing is told at all.
    pub silent: bool,
    /// Whether a snapshot never ends.
    pub endless: bool,
    /// Whether the time stands still at this one.
    pub frozen: Option<i64>,
    /// How far the database's clock is ahead, in microseconds.
    pub ahead: i64,
    /// Whether a cursor is good for anything.
    pub resumes: bool,
    /// What happened so far.
    pub past: Vec<Revocation>,
    pub streams: Vec<UnboundedSender<Told>>,
    /// What `Introspect` answers.
    pub introspection: Result<v1::IntrospectResponse, Status>,
    pub introspected: Vec<String>,
}

impl FeedState {
    pub fn new(signer: &Signer) -> Self {
        Self {
            keys: vec![signer.jwk()],
            fetches: 0,
            keys_fail: false,
            cursors: Vec::new(),
            refusal: None,
            silent: false,
            endless: false,
            frozen: None,
            ahead: 0,
            resumes: true,
            past: Vec::new(),
            streams: Vec::new(),
            introspection: Ok(v1::IntrospectResponse::default()),
            introspected: Vec::new(),
        }
    }

    /// The database's time.
    pub fn time(&self) -> i64 {
        self.frozen.unwrap_or_else(now) + self.ahead
    }

    /// Lets something happen now, and tells whoever listens.
    pub fn revoke(&mut self, kind: Kind) {
        let revocation = Revocation {
            kind: Some(kind),
            time: Some(timestamp(self.time())),
        };
        self.past.push(revocation.clone());
        self.tell(Message::Revocations(v1::Revocations {
            revocations: vec![revocation],
        }));
    }

    /// Ends the session of a token.
    pub fn end_session(&mut self, token: &str) {
        let claims = crate::harness::claims(token);
        self.revoke(Kind::SessionEnded(v1::SessionEnded {
            session_id: claims["sid"].as_str().expect("an id").to_owned(),
            user_id: claims["sub"].as_str().expect("an id").to_owned(),
        }));
    }

    /// Lets a later token than this one be the one that counts.
    pub fn supersede(&mut self, token: &str) {
        let claims = crate::harness::claims(token);
        self.revoke(Kind::TokensSuperseded(v1::TokensSuperseded {
            session_id: claims["sid"].as_str().expect("an id").to_owned(),
            generation: 1,
            effective_time: Some(timestamp(self.time())),
        }));
    }

    fn tell(&mut self, message: Message) {
        if !self.silent {
            let message = self.response(message);
            self.streams
                .retain(|stream| stream.send(Ok(message.clone())).is_ok());
        }
    }

    fn response(&self, message: Message) -> WatchRevocationsResponse {
        WatchRevocationsResponse {
            message: Some(message),
            cursor: self.past.len().to_string(),
            time: Some(timestamp(self.time())),
        }
    }

    fn open(&mut self, cursor: &str) -> Result<UnboundedReceiver<Told>, Status> {
        self.cursors.push(cursor.to_owned());
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let (stream, told) = unbounded_channel();
        let seen = cursor.parse().ok().filter(|_| self.resumes);
        for part in self.past[seen.unwrap_or(0)..].chunks(1_000) {
            let revocations = part.to_vec();
            let _ = stream.send(Ok(WatchRevocationsResponse {
                message: Some(Message::Revocations(v1::Revocations { revocations })),
                ..WatchRevocationsResponse::default()
            }));
        }
        let complete = Message::SnapshotComplete(v1::SnapshotComplete {
            whole: seen.is_none(),
            retention_seconds: u32::try_from(RETENTION.as_secs()).expect("short"),
        });
        if !self.endless && !self.silent {
            let _ = stream.send(Ok(self.response(complete)));
        }
        self.streams.push(stream);
        Ok(told)
    }
}

/// Gives signs of life.
pub(super) async fn beat(state: Arc<State>) {
    loop {
        tokio::time::sleep(BEAT).await;
        let mut feed = unpoisoned(&state.feed);
        if !feed.endless {
            feed.tell(Message::Heartbeat(v1::Heartbeat {}));
        }
    }
}

#[tonic::async_trait]
impl Verification for State {
    async fn get_jwks(
        &self,
        _: Request<v1::GetJwksRequest>,
    ) -> Result<Response<v1::GetJwksResponse>, Status> {
        let mut feed = unpoisoned(&self.feed);
        feed.fetches += 1;
        if feed.keys_fail {
            return Err(refused(Code::Unavailable, ErrorReason::Unavailable));
        }
        Ok(Response::new(v1::GetJwksResponse {
            keys: feed.keys.clone(),
            max_age_seconds: 900,
        }))
    }

    async fn introspect(
        &self,
        request: Request<v1::IntrospectRequest>,
    ) -> Result<Response<v1::IntrospectResponse>, Status> {
        let mut feed = unpoisoned(&self.feed);
        assert!(request.metadata().contains_key("authorization"));
        feed.introspected.push(request.into_inner().token);
        feed.introspection.clone().map(Response::new)
    }

    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Told> + Send>>;

    async fn watch_revocations(
        &self,
        request: Request<v1::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let cursor = request.into_inner().cursor;
        let told = unpoisoned(&self.feed).open(&cursor)?;
        let stream = stream::unfold(told, |mut told| async {
            told.recv().await.map(|message| (message, told))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
