//! The service `UserAdmin`.

mod export;
mod filter;
mod import;
mod update;

use std::time::Duration;

use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    act::act, caller::bearer, convert, new_user::NewUserFields, page::List, parse::Fields,
};
use crate::{
    identity::{Identity, Import},
    model::ids::UserId,
    proto::v1::{self, user_admin_server::UserAdmin},
};
use update::{Which, parse_change, parse_which};

/// For how long a password reset token can be used, in seconds.
const RESET_LIFETIMES: std::ops::RangeInclusive<u32> = 60..=86_400;
const DEFAULT_RESET_LIFETIME: u32 = 900;

/// Serves `UserAdmin`.
#[derive(Clone, Debug)]
pub struct UserAdminService {
    identity: Identity,
}

impl UserAdminService {
    /// The service over the flows.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl UserAdmin for UserAdminService {
    async fn create_user(
        &self,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::CreateUserResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        // Before a password is judged, which is work; and without a statement, which a
        // request that breaks its limits must not cause.
        self.identity.claims(token)?;
        let new = NewUserFields {
            login: request.login,
            password: request.password,
            display_name: request.display_name,
            roles: request.roles,
        };
        let new = new.parse(&self.identity).await?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let user = self.identity.create_user(&act, new).await?;
        Ok(Response::new(v1::CreateUserResponse {
            user: Some(convert::whole_user(user)),
        }))
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let which = parse_which(&mut fields, request.user);
        let which = fields.finish(|| which)?;
        self.identity.admin(token).await?;
        let user = match which {
            Which::Id(id) => self.identity.get_user(id).await?,
            Which::Login(login) => self.identity.get_user_by_login(&login).await?,
        };
        Ok(Response::new(v1::GetUserResponse {
            user: Some(convert::whole_user(user)),
        }))
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let wanted = request.filter.unwrap_or_default();
        let mut fields = Fields::default();
        let list = List::new(&self.identity, "ListUsers", &wanted.encode_to_vec());
        let page = list.page(&mut fields, request.page_size, &request.page_token, UserId);
        let filter = filter::parse(&mut fields, wanted, self.identity.settings());
        let (page, filter) = fields.finish(|| Some((page, filter)))?;
        self.identity.admin(token).await?;
        let mut users = self.identity.list_users(&filter, page).await?;
        let next_page_token = list.finish(&page, &mut users, |user| user.id.0);
        Ok(Response::new(v1::ListUsersResponse {
            users: users.into_iter().map(convert::whole_user).collect(),
            next_page_token,
        }))
    }

    async fn update_user(
        &self,
        request: Request<v1::UpdateUserRequest>,
    ) -> Result<Response<v1::UpdateUserResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let change = parse_change(&mut fields, request.user, request.update_mask);
        let change = fields.finish(|| change)?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let (user, ended) = self.identity.update_user(&act, &change).await?;
        Ok(Response::new(v1::UpdateUserResponse {
            user: Some(convert::whole_user(user)),
            revoked_session_count: convert::count(ended),
        }))
    }

    async fn set_password(
        &self,
        request: Request<v1::SetPasswordRequest>,
    ) -> Result<Response<v1::SetPasswordResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let policy = self.identity.settings().password_policy;
        let password = fields.new_password("new_password", &request.new_password, policy);
        let (user_id, password) = fields.finish(|| user_id.zip(password))?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let ended = self.identity.set_password(&act, user_id, &password).await?;
        Ok(Response::new(v1::SetPasswordResponse {
            revoked_session_count: convert::count(ended),
        }))
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let user_id = fields.finish(|| user_id)?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let ended = self.identity.delete_user(&act, user_id).await?;
        Ok(Response::new(v1::DeleteUserResponse {
            revoked_session_count: convert::count(ended),
        }))
    }

    async fn unlock_user(
        &self,
        request: Request<v1::UnlockUserRequest>,
    ) -> Result<Response<v1::UnlockUserResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let user_id = fields.finish(|| user_id)?;
        let caller = self.identity.admin(token).await?;
        let act = act.by(caller.actor());
        let user = self.identity.unlock_user(&act, user_id).await?;
        Ok(Response::new(v1::UnlockUserResponse {
            user: Some(convert::whole_user(user)),
        }))
    }

    async fn add_login(
        &self,
        request: Request<v1::AddLoginRequest>,
    ) -> Result<Response<v1::AddLoginResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let login = fields.further_login("login", &request.login, "kind", request.kind);
        let (user_id, (login, kind)) = fields.finish(|| user_id.zip(login))?;
        let act = act.by(self.identity.admin(token).await?.actor());
        let added = self.identity.add_login(&act, user_id, &login, kind);
        Ok(Response::new(v1::AddLoginResponse {
            user: Some(convert::whole_user(added.await?)),
        }))
    }

    async fn remove_login(
        &self,
        request: Request<v1::RemoveLoginRequest>,
    ) -> Result<Response<v1::RemoveLoginResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let login = fields.lookup_login("login", &request.login);
        let (user_id, login) = fields.finish(|| user_id.zip(login))?;
        let act = act.by(self.identity.admin(token).await?.actor());
        let user = self.identity.remove_login(&act, user_id, &login).await?;
        Ok(Response::new(v1::RemoveLoginResponse {
            user: Some(convert::whole_user(user)),
        }))
    }

    async fn issue_password_reset_token(
        &self,
        request: Request<v1::IssuePasswordResetTokenRequest>,
    ) -> Result<Response<v1::IssuePasswordResetTokenResponse>, Status> {
        let act = act(&request);
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let lifetime = reset_lifetime(&mut fields, request.lifetime_seconds);
        let user_id = fields.finish(|| user_id)?;
        let act = act.by(self.identity.admin(token).await?.actor());
        let issued = self
            .identity
            .issue_password_reset_token(&act, user_id, lifetime);
        let (token, expires_at) = issued.await?;
        Ok(Response::new(v1::IssuePasswordResetTokenResponse {
            reset_token: token.expose().to_owned(),
            expire_time: Some(convert::timestamp(expires_at)),
        }))
    }

    async fn import_users(
        &self,
        request: Request<Streaming<v1::ImportUsersRequest>>,
    ) -> Result<Response<v1::ImportUsersResponse>, Status> {
        let act = act(&request);
        let (metadata, _, users) = request.into_parts();
        let caller = self.identity.admin(bearer(&metadata)?).await?;
        let import = Import::new(self.identity.clone(), caller, act);
        Ok(Response::new(import::run(import, users).await?))
    }

    type ExportUsersStream = export::Users;

    async fn export_users(
        &self,
        request: Request<v1::ExportUsersRequest>,
    ) -> Result<Response<Self::ExportUsersStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let wanted = request.filter.unwrap_or_default();
        let filter = filter::parse(&mut fields, wanted, self.identity.settings());
        let filter = fields.finish(|| Some(filter))?;
        let caller = self.identity.admin(token).await?;
        let users = export::stream(self.identity.clone(), caller, filter);
        Ok(Response::new(users))
    }
}

fn reset_lifetime(fields: &mut Fields, seconds: u32) -> Duration {
    let seconds = match seconds {
        0 => DEFAULT_RESET_LIFETIME,
        seconds => seconds,
    };
    if !RESET_LIFETIMES.contains(&seconds) {
        let (least, most) = (RESET_LIFETIMES.start(), RESET_LIFETIMES.end());
        fields.reject(
            "lifetime_seconds",
            format!("must be 0, or {least} to {most}"),
        );
    }
    Duration::from_secs(seconds.into())
}
