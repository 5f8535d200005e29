//! The service `UserAdmin`.

use prost_types::FieldMask;
use tonic::{Request, Response, Status};

use super::{
    act::act, caller::bearer, convert, new_user::NewUserFields, page::List, parse::Fields,
};
use crate::{
    identity::Identity,
    model::ids::UserId,
    proto::v1::{self, get_user_request, user_admin_server::UserAdmin},
    store::users::Change,
};

const DISPLAY_NAME: &str = "display_name";
const ROLES: &str = "roles";
const DISABLED: &str = "disabled";

/// The fields that an update can change.
const MUTABLE: [&str; 3] = [DISPLAY_NAME, ROLES, DISABLED];

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
        self.identity.admin(token).await?;
        let user = self.identity.create_user(new).await?;
        Ok(Response::new(v1::CreateUserResponse {
            user: Some(convert::user(user)),
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
            user: Some(convert::user(user)),
        }))
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let list = List::new(&self.identity, "ListUsers", &[]);
        let page = list.page(&mut fields, request.page_size, &request.page_token, UserId);
        let page = fields.finish(|| Some(page))?;
        self.identity.admin(token).await?;
        let mut users = self.identity.list_users(page).await?;
        let next_page_token = list.finish(&page, &mut users, |user| user.id.0);
        Ok(Response::new(v1::ListUsersResponse {
            users: users.into_iter().map(convert::user).collect(),
            next_page_token,
        }))
    }

    async fn update_user(
        &self,
        request: Request<v1::UpdateUserRequest>,
    ) -> Result<Response<v1::UpdateUserResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let change = parse_change(&mut fields, request.user, request.update_mask);
        let change = fields.finish(|| change)?;
        self.identity.admin(token).await?;
        let (user, ended) = self.identity.update_user(&change).await?;
        Ok(Response::new(v1::UpdateUserResponse {
            user: Some(convert::user(user)),
            revoked_session_count: convert::count(ended),
        }))
    }

    async fn set_password(
        &self,
        request: Request<v1::SetPasswordRequest>,
    ) -> Result<Response<v1::SetPasswordResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let policy = self.identity.settings().password_policy;
        let password = fields.new_password("new_password", &request.new_password, policy);
        let (user_id, password) = fields.finish(|| user_id.zip(password))?;
        self.identity.admin(token).await?;
        let ended = self.identity.set_password(user_id, &password).await?;
        Ok(Response::new(v1::SetPasswordResponse {
            revoked_session_count: convert::count(ended),
        }))
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut fields = Fields::default();
        let user_id = fields.user_id("user_id", &request.user_id);
        let user_id = fields.finish(|| user_id)?;
        self.identity.admin(token).await?;
        let ended = self.identity.delete_user(user_id).await?;
        Ok(Response::new(v1::DeleteUserResponse {
            revoked_session_count: convert::count(ended),
        }))
    }

    type ExportUsersStream = std::pin::Pin<
        Box<dyn futures_util::Stream<Item = Result<v1::ExportUsersResponse, Status>> + Send>,
    >;

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
            user: Some(convert::user(user)),
        }))
    }

    async fn add_login(
        &self,
        _: Request<v1::AddLoginRequest>,
    ) -> Result<Response<v1::AddLoginResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn remove_login(
        &self,
        _: Request<v1::RemoveLoginRequest>,
    ) -> Result<Response<v1::RemoveLoginResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn issue_password_reset_token(
        &self,
        _: Request<v1::IssuePasswordResetTokenRequest>,
    ) -> Result<Response<v1::IssuePasswordResetTokenResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn import_users(
        &self,
        _: Request<tonic::Streaming<v1::ImportUsersRequest>>,
    ) -> Result<Response<v1::ImportUsersResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn export_users(
        &self,
        _: Request<v1::ExportUsersRequest>,
    ) -> Result<Response<Self::ExportUsersStream>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}

/// How a user is named.
enum Which {
    Id(UserId),
    Login(String),
}

fn parse_which(fields: &mut Fields, user: Option<get_user_request::User>) -> Option<Which> {
    match user {
        Some(get_user_request::User::UserId(id)) => fields.user_id("user_id", &id).map(Which::Id),
        Some(get_user_request::User::Login(login)) => {
            fields.lookup_login("login", &login).map(Which::Login)
        }
        None => {
            fields.reject("user_id", "is required, or login");
            None
        }
    }
}

fn parse_change(
    fields: &mut Fields,
    user: Option<v1::User>,
    mask: Option<FieldMask>,
) -> Option<Change> {
    let user = user.unwrap_or_default();
    let id = fields.user_id("user.user_id", &user.user_id);
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    let has = |path| paths.iter().any(|given| given == path);
    let known = |path: &String| MUTABLE.contains(&path.as_str());
    if paths.is_empty() || !paths.iter().all(known) {
        let limit = format!("must name one or more of {}", MUTABLE.join(", "));
        fields.reject("update_mask", limit);
    }
    let display_name =
        has(DISPLAY_NAME).then(|| fields.display_name("user.display_name", &user.display_name));
    let roles = has(ROLES).then(|| fields.roles("user.roles", user.roles));
    let disabled = has(DISABLED).then_some(user.disabled);
    Some(Change {
        id: id?,
        display_name,
        roles,
        disabled,
    })
}
