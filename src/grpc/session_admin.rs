//! The service `SessionAdmin`.

use prost::Message;
use tonic::{Request, Response, Status};

use super::{act::act, caller::bearer, convert, page::List, parse::Fields};
use crate::{
    identity::Identity,
    model::ids::SessionId,
    proto::v1::{self, session_admin_server::SessionAdmin, session_filter},
    store::sessions::Filter,
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
        let (login, filter) = parse_filter(&mut fields, wanted);
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

    type RevokeSessionsStream = std::pin::Pin<
        Box<dyn futures_util::Stream<Item = Result<v1::RevokeSessionsResponse, Status>> + Send>,
    >;

    async fn revoke_sessions(
        &self,
        _: Request<v1::RevokeSessionsRequest>,
    ) -> Result<Response<Self::RevokeSessionsStream>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn get_session_stats(
        &self,
        _: Request<v1::GetSessionStatsRequest>,
    ) -> Result<Response<v1::GetSessionStatsResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}

fn parse_filter(fields: &mut Fields, wanted: v1::SessionFilter) -> (Option<String>, Filter) {
    let (mut user_id, mut login) = (None, None);
    match wanted.user {
        Some(session_filter::User::UserId(id)) => user_id = fields.user_id("filter.user_id", &id),
        Some(session_filter::User::Login(text)) => {
            login = fields.lookup_login("filter.login", &text);
        }
        None => {}
    }
    let client_id = (!wanted.client_id.is_empty())
        .then(|| fields.client_id("filter.client_id", wanted.client_id));
    let filter = Filter {
        user_id,
        include_ended: wanted.include_ended,
        device_id: fields.device_id("filter.device_id", wanted.device_id),
        client_id,
        ip_prefix: fields.ip_prefix("filter.ip_prefix", &wanted.ip_prefix),
        user_agent_contains: fields
            .search("filter.user_agent_contains", &wanted.user_agent_contains),
        created: fields.time_range("filter.create_time", wanted.create_time),
        last_seen: fields.time_range("filter.last_seen_time", wanted.last_seen_time),
    };
    (login, filter)
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
