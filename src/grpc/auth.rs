//! The service `Auth`.

use tonic::{Request, Response, Status};

use super::{
    act::act,
    caller::{auth_caller, bearer},
    convert,
    new_user::NewUserFields,
    page::List,
    parse::Fields,
    source::Source,
};
use crate::{
    identity::{Identity, Refresh, Renew, SignIn},
    model::{ids::SessionId, session::Origin},
    proto::v1::{self, auth_server::Auth},
    store::sessions::Filter,
};

/// Serves `Auth`.
#[derive(Clone, Debug)]
pub struct AuthService {
    identity: Identity,
}

impl AuthService {
    /// The service over the flows.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let act = act(&request);
        self.identity.may_register()?;
        self.identity
            .limit_address(Source::of(&request).address())?;
        let request = request.into_inner();
        let new = NewUserFields {
            login: request.login,
            password: request.password,
            display_name: request.display_name,
            roles: Vec::new(),
        };
        let new = new.parse(&self.identity).await?;
        let user = self.identity.create_user(&act, new).await?;
        Ok(Response::new(v1::RegisterResponse {
            user: Some(convert::user(user)),
        }))
    }

    async fn authenticate(
        &self,
        request: Request<v1::AuthenticateRequest>,
    ) -> Result<Response<v1::AuthenticateResponse>, Status> {
        let (caller, source) = (auth_caller(&request), Source::of(&request));
        let act = act(&request);
        let request = request.into_inner();
        let mut fields = Fields::default();
        let login = fields.lookup_login("login", &request.login);
        let password = fields.password("password", &request.password);
        let token_mode = fields.token_mode("token_mode", request.token_mode);
        let binding = fields.binding(request.binding, request.device.as_ref(), source);
        let device = fields.device(request.device, source);
        let sign_in = fields.finish(|| {
            Some(SignIn {
                login: login?,
                password: password?,
                device: device?,
                token_mode: token_mode?,
                binding,
                caller,
            })
        })?;
        let act = act.from_device(sign_in.device.origin.ip_address);
        let signed_in = self.identity.sign_in(act, sign_in).await?;
        let grant = convert::grant(signed_in.granted);
        Ok(Response::new(v1::AuthenticateResponse {
            ended_sessions: signed_in.ended.into_iter().map(convert::session).collect(),
            tokens: Some(grant.tokens),
            session: Some(grant.session),
            user_id: grant.user_id,
            roles: grant.roles,
        }))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::RefreshResponse>, Status> {
        let act = act(&request);
        let (caller, source) = (auth_caller(&request), Source::of(&request));
        let request = request.into_inner();
        let mut fields = Fields::default();
        let refresh_token = fields.refresh_token(request.refresh_token);
        let request_id = fields.request_id(request.request_id);
        let origin = Origin {
            user_agent: fields.user_agent("user_agent", &request.user_agent),
            ip_address: source.device(fields.ip_address("ip_address", &request.ip_address)),
        };
        let act = act.from_device(origin.ip_address);
        let refresh = fields.finish(|| {
            Some(Refresh {
                refresh_token,
                request_id,
                origin,
            })
        })?;
        self.identity.admit(caller, &refresh.refresh_token).await?;
        let granted = self.identity.refresh(&act, refresh).await?;
        let grant = convert::grant(granted);
        Ok(Response::new(v1::RefreshResponse {
            tokens: Some(grant.tokens),
            session: Some(grant.session),
            user_id: grant.user_id,
            roles: grant.roles,
        }))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let act = act(&request);
        let source = Source::of(&request);
        let request = request.into_inner();
        let mut fields = Fields::default();
        let access_token = fields.access_token("access_token", request.access_token);
        let told = fields.ip_address("ip_address", &request.ip_address);
        let origin = Origin {
            user_agent: fields.user_agent("user_agent", &request.user_agent),
            ip_address: source.device_of_service(told),
        };
        let act = act.from_device(origin.ip_address);
        let renew = fields.finish(|| {
            Some(Renew {
                access_token,
                origin,
            })
        })?;
        let granted = self.identity.renew(&act, renew).await?;
        let grant = convert::grant(granted);
        Ok(Response::new(v1::RenewResponse {
            tokens: Some(grant.tokens),
            session: Some(grant.session),
            user_id: grant.user_id,
            roles: grant.roles,
        }))
    }

    async fn logout(
        &self,
        request: Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        let act = act(&request);
        let caller = auth_caller(&request);
        let mut fields = Fields::default();
        let refresh_token = fields.refresh_token(request.into_inner().refresh_token);
        let refresh_token = fields.finish(|| Some(refresh_token))?;
        self.identity.admit(caller, &refresh_token).await?;
        self.identity.log_out(&act, &refresh_token).await?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let current = fields.password("current_password", &request.current_password);
        let policy = self.identity.settings().password_policy;
        let new = fields.new_password("new_password", &request.new_password, policy);
        let (current, new) = fields.finish(|| current.zip(new))?;
        let caller = self.identity.caller(token).await?;
        let ended = self
            .identity
            .change_password(&act, &caller, &current, &new)
            .await?;
        Ok(Response::new(v1::ChangePasswordResponse {
            revoked_session_count: convert::count(ended),
        }))
    }

    async fn list_my_sessions(
        &self,
        request: Request<v1::ListMySessionsRequest>,
    ) -> Result<Response<v1::ListMySessionsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let claims = self.identity.claims(token)?;
        let mut fields = Fields::default();
        let list = List::new(&self.identity, "ListMySessions", claims.sub.as_bytes());
        let page = list.page(
            &mut fields,
            request.page_size,
            &request.page_token,
            SessionId,
        );
        let page = fields.finish(|| Some(page))?;
        let caller = self.identity.caller(token).await?;
        let filter = Filter {
            user_id: Some(caller.user_id),
            ..Filter::default()
        };
        let mut sessions = self.identity.list_sessions(&filter, page).await?;
        let next_page_token = list.finish(&page, &mut sessions, |seen| seen.session.id.0);
        Ok(Response::new(v1::ListMySessionsResponse {
            sessions: sessions.into_iter().map(convert::session).collect(),
            next_page_token,
            current_session_id: caller.session_id.to_string(),
        }))
    }

    async fn revoke_my_session(
        &self,
        request: Request<v1::RevokeMySessionRequest>,
    ) -> Result<Response<v1::RevokeMySessionResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let id = fields.session_id("session_id", &request.session_id);
        let id = fields.finish(|| id)?;
        let caller = self.identity.caller(token).await?;
        let session = self.identity.revoke_my_session(&act, &caller, id).await?;
        Ok(Response::new(v1::RevokeMySessionResponse {
            session: Some(convert::session(session)),
        }))
    }

    async fn reset_password(
        &self,
        request: Request<v1::ResetPasswordRequest>,
    ) -> Result<Response<v1::ResetPasswordResponse>, Status> {
        let act = act(&request);
        self.identity.limit_address(act.ip_address)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        let token = fields.password_reset_token("reset_token", request.reset_token);
        let policy = self.identity.settings().password_policy;
        let new = fields.new_password("new_password", &request.new_password, policy);
        let new = fields.finish(|| new)?;
        let ended = self.identity.reset_password(&act, &token, &new).await?;
        Ok(Response::new(v1::ResetPasswordResponse {
            revoked_session_count: convert::count(ended),
        }))
    }
}
