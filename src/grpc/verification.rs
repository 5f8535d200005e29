//! The service `Verification`.

use std::{pin::Pin, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{Stream, stream};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};

use super::{caller::bearer, convert::timestamp, parse::Fields};
use crate::{
    identity::{Active, Identity, Message, Subscription},
    model::{
        jwk::Jwk,
        revocation::{Revocation, Revoked},
        session::Superseded,
    },
    proto::v1::{
        self, revocation::Kind, verification_server::Verification,
        watch_revocations_response::Message as Said,
    },
};

/// The type of every token (RFC 6750).
const TOKEN_TYPE: &str = "Bearer";

/// Serves `Verification`.
#[derive(Clone, Debug)]
pub struct VerificationService {
    identity: Identity,
}

impl VerificationService {
    /// The service over the flows.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl Verification for VerificationService {
    async fn get_jwks(
        &self,
        _: Request<v1::GetJwksRequest>,
    ) -> Result<Response<v1::GetJwksResponse>, Status> {
        let keys = self.identity.jwks()?.into_iter().map(jwk).collect();
        let max_age = self.identity.jwks_max_age().as_secs();
        Ok(Response::new(v1::GetJwksResponse {
            keys,
            max_age_seconds: u32::try_from(max_age).unwrap_or(u32::MAX),
        }))
    }

    async fn introspect(
        &self,
        request: Request<v1::IntrospectRequest>,
    ) -> Result<Response<v1::IntrospectResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let own_token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let token = fields.access_token("token", request.token);
        let token = fields.finish(|| Some(token))?;
        let active = self.identity.introspect(own_token, &token).await?;
        Ok(Response::new(active.map(introspected).unwrap_or_default()))
    }

    type WatchRevocationsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchRevocationsResponse, Status>> + Send>>;

    async fn watch_revocations(
        &self,
        request: Request<v1::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let since = parse_cursor(&mut fields, &request.cursor);
        let since = fields.finish(|| Some(since))?;
        let caller = self.identity.service(token).await?;
        let subscription = self.identity.watch_revocations(caller, since)?;
        let speaker = Speaker {
            retention: self.identity.revocation_retention(),
            superseded: self.identity.settings().superseded,
        };
        Ok(Response::new(Box::pin(messages(subscription, speaker))))
    }
}

fn jwk(key: Jwk) -> v1::Jwk {
    v1::Jwk {
        kty: key.kty,
        r#use: key.usage,
        alg: key.alg,
        kid: key.kid,
        crv: key.crv,
        x: key.x,
        y: key.y,
    }
}

fn introspected(active: Active) -> v1::IntrospectResponse {
    let Active { claims, login } = active;
    v1::IntrospectResponse {
        active: true,
        sub: claims.sub.to_string(),
        sid: claims.sid.to_string(),
        iss: claims.iss,
        aud: claims.aud,
        client_id: claims.client_id,
        iat: claims.iat,
        exp: claims.exp,
        jti: claims.jti,
        r#gen: claims.generation,
        auth_time: claims.auth_time,
        amr: claims.amr,
        roles: claims.roles,
        token_type: TOKEN_TYPE.to_owned(),
        username: login,
    }
}

/// The stream of a subscription, which ends after an error.
fn messages(
    subscription: Subscription,
    speaker: Speaker,
) -> impl Stream<Item = Result<v1::WatchRevocationsResponse, Status>> {
    stream::unfold(Some(subscription), move |subscription| async move {
        let mut subscription = subscription?;
        match subscription.next().await {
            Ok(message) => Some((Ok(speaker.say(message)), Some(subscription))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

/// What is to be known to put a message into words.
#[derive(Clone, Copy)]
struct Speaker {
    retention: Duration,
    superseded: Superseded,
}

impl Speaker {
    fn say(self, message: Message) -> v1::WatchRevocationsResponse {
        let (message, time) = match message {
            Message::Revocations(part, time) => {
                let revocations = part.iter().map(|it| self.revocation(it)).collect();
                let said = Said::Revocations(v1::Revocations { revocations });
                (said, time)
            }
            Message::SnapshotComplete { time, whole } => {
                let retention = self.retention.as_secs();
                let said = Said::SnapshotComplete(v1::SnapshotComplete {
                    whole,
                    retention_seconds: u32::try_from(retention).unwrap_or(u32::MAX),
                });
                (said, Some(time))
            }
            Message::Heartbeat(time) => (Said::Heartbeat(v1::Heartbeat {}), Some(time)),
        };
        v1::WatchRevocationsResponse {
            message: Some(message),
            cursor: time.map(cursor).unwrap_or_default(),
            time: time.map(timestamp),
        }
    }

    fn revocation(self, revocation: &Revocation) -> v1::Revocation {
        let kind = match &revocation.revoked {
            Revoked::Session {
                session_id,
                user_id,
            } => Kind::SessionEnded(v1::SessionEnded {
                session_id: session_id.to_string(),
                user_id: user_id.to_string(),
            }),
            Revoked::Roles { user_id, roles } => Kind::RolesChanged(v1::RolesChanged {
                user_id: user_id.to_string(),
                roles: roles.names().to_vec(),
            }),
            Revoked::Superseded {
                session_id,
                generation,
            } => Kind::TokensSuperseded(v1::TokensSuperseded {
                session_id: session_id.to_string(),
                generation: *generation,
                effective_time: Some(timestamp(self.effective(revocation.at))),
            }),
            Revoked::Key { kid } => Kind::KeyDropped(v1::KeyDropped { kid: kid.clone() }),
        };
        v1::Revocation {
            kind: Some(kind),
            time: Some(timestamp(revocation.at)),
        }
    }

    /// When tokens become void that were superseded at a time.
    fn effective(self, at: OffsetDateTime) -> OffsetDateTime {
        match self.superseded {
            Superseded::Allow => at,
            Superseded::Deny { overlap } => at + overlap,
        }
    }
}

/// The first byte of a cursor: its form.
const CURSOR_VERSION: u8 = 1;

/// A cursor is a time of the database's clock, in microseconds, as Postgres has it.
fn cursor(time: OffsetDateTime) -> String {
    let micros = time.unix_timestamp_nanos() / 1_000;
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    let mut bytes = [CURSOR_VERSION; 9];
    bytes[1..].copy_from_slice(&micros.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn parse_cursor(fields: &mut Fields, text: &str) -> Option<OffsetDateTime> {
    if text.is_empty() {
        return None;
    }
    let time = decode_cursor(text);
    if time.is_none() {
        fields.reject("cursor", "must be the cursor of a message of this stream");
    }
    time
}

fn decode_cursor(text: &str) -> Option<OffsetDateTime> {
    let mut bytes = [0; 9];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    let (version, micros) = bytes.split_first_chunk::<1>()?;
    if length != bytes.len() || version[0] != CURSOR_VERSION {
        return None;
    }
    let micros = i64::from_be_bytes(micros.try_into().ok()?);
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_survives_its_text() {
        let time = OffsetDateTime::UNIX_EPOCH + Duration::from_micros(1_795_000_000_123_456);
        assert_eq!(decode_cursor(&cursor(time)), Some(time));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "x",
            "AAAA",
            "AAAAAAAAAAAA",
            "Av__________",
            "AX__________",
            "é",
        ] {
            assert_eq!(decode_cursor(text), None, "{text}");
        }
    }
}
