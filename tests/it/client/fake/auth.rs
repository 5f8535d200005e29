//! The fake's `Auth`.

use std::collections::{HashMap, VecDeque};

use rollcall::proto::v1::{self, ErrorReason, auth_server::Auth};
use serde_json::json;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};

use super::{Signer, State, claims, now, refused, unpoisoned};
use crate::{client::timestamp, harness::PASSWORD};

/// How a refresh or a renewal is answered.
pub enum Reply {
    /// As it should be.
    Grant,
    /// Done, but the reply is lost.
    Lose,
    /// Not done.
    Refuse(Status),
    /// Never.
    Hang,
    /// As it should be, once the sender is gone.
    Hold(watch::Receiver<()>),
}

/// What `Auth` knows and has seen.
pub struct AuthState {
    /// How the next refreshes and renewals are answered; then, as they should be.
    pub replies: VecDeque<Reply>,
    pub refreshes: Vec<v1::RefreshRequest>,
    pub renewals: Vec<v1::RenewRequest>,
    pub sign_ins: Vec<v1::AuthenticateRequest>,
    pub logouts: Vec<v1::LogoutRequest>,
    /// How long access tokens live, in seconds.
    pub lifetime: i64,
    /// The roles in access tokens.
    pub roles: Vec<String>,
    /// The `request_id` that each refresh token was used with.
    used: HashMap<String, String>,
}

impl Default for AuthState {
    fn default() -> Self {
        Self {
            replies: VecDeque::new(),
            refreshes: Vec::new(),
            renewals: Vec::new(),
            sign_ins: Vec::new(),
            logouts: Vec::new(),
            lifetime: 600,
            roles: vec!["service".to_owned()],
            used: HashMap::new(),
        }
    }
}

impl AuthState {
    /// A pair of the generation, as Rollcall would grant it.
    pub fn pair(&self, signer: &Signer, generation: usize) -> v1::TokenPair {
        let mut claims = claims();
        // Not by a second look at the clock, or a token may live for a second longer.
        let now = claims["iat"].as_i64().expect("a time");
        let expires = now + self.lifetime;
        claims["exp"] = json!(expires);
        claims["gen"] = json!(generation);
        claims["roles"] = json!(self.roles);
        v1::TokenPair {
            access_token: signer.sign(&claims),
            access_token_expire_time: Some(timestamp(expires * 1_000_000)),
            refresh_token: format!("rcr_{generation}"),
            refresh_token_expire_time: Some(timestamp((now + 86_400) * 1_000_000)),
        }
    }

    fn refresh(
        &mut self,
        signer: &Signer,
        request: &v1::RefreshRequest,
    ) -> Result<v1::RefreshResponse, Status> {
        let first = self
            .used
            .entry(request.refresh_token.clone())
            .or_insert_with(|| request.request_id.clone());
        if *first != request.request_id {
            let reason = ErrorReason::RefreshTokenReused;
            return Err(refused(Code::Unauthenticated, reason));
        }
        let generation = request
            .refresh_token
            .strip_prefix("rcr_")
            .expect("one of mine");
        let generation: usize = generation.parse().expect("a number");
        Ok(v1::RefreshResponse {
            tokens: Some(self.pair(signer, generation + 1)),
            ..v1::RefreshResponse::default()
        })
    }
}

/// What is left of a reply on its way.
async fn deliver<T>(how: Reply, reply: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    match how {
        Reply::Grant => reply(),
        Reply::Lose => {
            reply()?;
            Err(Status::unavailable("the reply was lost"))
        }
        Reply::Refuse(status) => Err(status),
        Reply::Hang => std::future::pending().await,
        Reply::Hold(mut held) => {
            while held.changed().await.is_ok() {}
            reply()
        }
    }
}

#[tonic::async_trait]
impl Auth for State {
    async fn authenticate(
        &self,
        request: Request<v1::AuthenticateRequest>,
    ) -> Result<Response<v1::AuthenticateResponse>, Status> {
        let (request, mut auth) = (request.into_inner(), unpoisoned(&self.auth));
        let is_right = request.password == PASSWORD;
        auth.sign_ins.push(request);
        if !is_right {
            let reason = ErrorReason::InvalidCredentials;
            return Err(refused(Code::Unauthenticated, reason));
        }
        let generation = auth.sign_ins.len() * 1_000;
        Ok(Response::new(v1::AuthenticateResponse {
            tokens: Some(auth.pair(&self.signer, generation)),
            ..v1::AuthenticateResponse::default()
        }))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::RefreshResponse>, Status> {
        let request = request.into_inner();
        let how = {
            let mut auth = unpoisoned(&self.auth);
            auth.refreshes.push(request.clone());
            auth.replies.pop_front().unwrap_or(Reply::Grant)
        };
        let reply = || {
            let mut auth = unpoisoned(&self.auth);
            auth.refresh(&self.signer, &request)
        };
        deliver(how, reply).await.map(Response::new)
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let request = request.into_inner();
        let how = {
            let mut auth = unpoisoned(&self.auth);
            auth.renewals.push(request.clone());
            auth.replies.pop_front().unwrap_or(Reply::Grant)
        };
        let reply = || {
            let mut claims = crate::harness::claims(&request.access_token);
            claims["exp"] = json!(now() / 1_000_000 + 600);
            claims["gen"] = json!(1);
            let tokens = v1::TokenPair {
                access_token: self.signer.sign(&claims),
                ..v1::TokenPair::default()
            };
            Ok(v1::RenewResponse {
                tokens: Some(tokens),
                ..v1::RenewResponse::default()
            })
        };
        deliver(how, reply).await.map(Response::new)
    }

    async fn logout(
        &self,
        request: Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        let how = {
            let mut auth = unpoisoned(&self.auth);
            auth.logouts.push(request.into_inner());
            auth.replies.pop_front().unwrap_or(Reply::Grant)
        };
        deliver(how, || Ok(Response::new(v1::LogoutResponse {}))).await
    }

    async fn register(
        &self,
        _: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        Err(Status::unimplemented("no client calls it"))
    }

    async fn reset_password(
        &self,
        _: Request<v1::ResetPasswordRequest>,
    ) -> Result<Response<v1::ResetPasswordResponse>, Status> {
        Err(Status::unimplemented("no client calls it"))
    }

    async fn change_password(
        &self,
        _: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        Err(Status::unimplemented("no client calls it"))
    }

    async fn list_my_sessions(
        &self,
        _: Request<v1::ListMySessionsRequest>,
    ) -> Result<Response<v1::ListMySessionsResponse>, Status> {
        Err(Status::unimplemented("no client calls it"))
    }

    async fn revoke_my_session(
        &self,
        _: Request<v1::RevokeMySessionRequest>,
    ) -> Result<Response<v1::RevokeMySessionResponse>, Status> {
        Err(Status::unimplemented("no client calls it"))
    }
}
