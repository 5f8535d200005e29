//! The service `SessionAdmin`.

mod sweep;

use std::pin::Pin;

use futures_util::Stream;
use prost::Message;
use tonic::{Request, Response, Status};

use super::{act::act, caller::bearer, convert, deadline::deadline, page::List, parse::Fields};
use crate::{
    identity::Identity,
    model::ids::SessionId,
    proto::v1::{self, session_admin_server::SessionAdmin},
};

/// The most sessions that a `RevokeUserSessions` can keep.
const MAX_KEPT: usize = 1_000;

/// Serves `SessionAdmin`.
#[derive(Clone, Debug)]
pub struct SessionAdminService {
    identity: Identity,
}

impl SessionAdminService {
    /// The service over the flows.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl SessionAdmin for SessionAdminService {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let wanted = request.filter.unwrap_or_default();
        let mut fields = Fields::default();
        let list = List::new(&self.identity, "ListSessions", &wanted.encode_to_vec());
        let page = list.page(
            &mut fields,
            request.page_size,
            &request.page_token,
            SessionId,
        );
        let online = self.identity.settings().access_token_lifetime;
        let (login, filter) = fields.session_filter(wanted, online);
        let (page, login, filter) = fields.finish(|| Some((page, login, filter)))?;

        self.identity.admin(token).await?;
        let mut sessions = match login {
            Some(login) => {
                self.identity
                    .list_sessions_of_login(&login, filter, page)
                    .await?
            }
            None => self.identity.list_sessions(&filter, page).await?,
        };
        let next_page_token = list.finish(&page, &mut sessions, |seen| seen.session.id.0);
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: sessions.into_iter().map(convert::session).collect(),
            next_page_token,
        }))
    }

    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::GetSessionResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let id = fields.session_id("session_id", &request.session_id);
        let id = fields.finish(|| id)?;
        self.identity.admin(token).await?;
        let session = self.identity.get_session(id).await?;
        Ok(Response::new(v1::GetSessionResponse {
            session: Some(convert::session(session)),
        }))
    }

    async fn revoke_session(
        &self,
        request: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let id = fields.session_id("session_id", &request.session_id);
        let id = fields.finish(|| id)?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let session = self.identity.revoke_session(&act, id).await?;
        Ok(Response::new(v1::RevokeSessionResponse {
            session: Some(convert::session(session)),
        }))
    }

    async fn revoke_user_sessions(
        &self,
        request: Request<v1::RevokeUserSessionsRequest>,
    ) -> Result<Response<v1::RevokeUserSessionsResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let kept = parse_kept(&mut fields, &request.except_session_ids);
        let (user_id, kept) = fields.finish(|| user_id.zip(Some(kept)))?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let ended = self
            .identity
            .revoke_user_sessions(&act, user_id, &kept)
            .await?;
        Ok(Response::new(v1::RevokeUserSessionsResponse {
            revoked_session_count: convert::count(ended),
        }))
    }

    type RevokeSessionsStream =
        Pin<Box<dyn Stream<Item = Result<v1::RevokeSessionsResponse, Status>> + Send>>;

    async fn revoke_sessions(
        &self,
        request: Request<v1::RevokeSessionsRequest>,
    ) -> Result<Response<Self::RevokeSessionsStream>, Status> {
        let (act, deadline) = (act(&request), deadline(&request));
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let list = sweep::list(&self.identity, &request);
        let mut fields = Fields::default();
        let online = self.identity.settings().access_token_lifetime;
        let order = sweep::parse(&mut fields, &list, request, online);
        let order = fields.finish(|| Some(order))?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let sweep = self.identity.sweep_sessions(caller, act, order).await?;
        let progress = sweep::progress(sweep, list, deadline);
        Ok(Response::new(Box::pin(progress)))
    }

    async fn get_session_stats(
        &self,
        request: Request<v1::GetSessionStatsRequest>,
    ) -> Result<Response<v1::GetSessionStatsResponse>, Status> {
        self.identity.admin(bearer(request.metadata())?).await?;
        let (time, stats) = self.identity.session_stats().await?;
        Ok(Response::new(convert::session_stats(time, stats)))
    }
}

fn parse_kept(fields: &mut Fields, ids: &[String]) -> Vec<SessionId> {
    if ids.len() > MAX_KEPT {
        fields.reject(
            "except_session_ids",
            format!("must be at most {MAX_KEPT} ids"),
        );
        return Vec::new();
    }
    ids.iter()
        .enumerate()
        .filter_map(|(at, id)| fields.session_id(&format!("except_session_ids[{at}]"), id))
        .collect()
}
