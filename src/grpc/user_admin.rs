//! The service `UserAdmin`.

use prost_types::FieldMask;
use tonic::{Request, Response, Status};

use super::{
    caller::bearer, convert, new_user::NewUserFields, page::List, parse::Fields, status::status,
};
use crate::{
    identity::Identity,
    model::ids::UserId,
    proto::v1::{self, get_user_request, user_admin_server::UserAdmin},
    store::users::Change,
};

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
        // Before the password is judged, which is work that not anybody may cause.
        self.identity.claims(token).map_err(|e| status(&e))?;
        let new = NewUserFields {
            login: request.login,
            password: request.password,
            display_name: request.display_name,
            roles: request.roles,
        };
        let new = new.parse(&self.identity).await?;
        let create = async {
            self.identity.admin(token).await?;
            self.identity.create_user(new).await
        };
        let user = create.await.map_err(|e| status(&e))?;
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
        let get = async {
            self.identity.admin(token).await?;
            match which {
                Which::Id(id) => self.identity.get_user(id).await,
                Which::Login(login) => self.identity.get_user_by_login(&login).await,
            }
        };
        let user = get.await.map_err(|e| status(&e))?;
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
        let find = async {
            self.identity.admin(token).await?;
            self.identity.list_users(page).await
        };
        let mut users = find.await.map_err(|e| status(&e))?;
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
        let update = async {
            self.identity.admin(token).await?;
            self.identity.update_user(&change).await
        };
        let (user, ended) = update.await.map_err(|e| status(&e))?;
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
        let set = async {
            self.identity.admin(token).await?;
            self.identity.set_password(user_id, &password).await
        };
        let ended = set.await.map_err(|e| status(&e))?;
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
        let delete = async {
            self.identity.admin(token).await?;
            self.identity.delete_user(user_id).await
        };
        let ended = delete.await.map_err(|e| status(&e))?;
        Ok(Response::new(v1::DeleteUserResponse {
            revoked_session_count: convert::count(ended),
        }))
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
    let (mut display_name, mut roles, mut disabled) = (None, None, None);
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        fields.reject("update_mask", "must name display_name, roles or disabled");
    }
    for path in paths {
        match path.as_str() {
            "display_name" => {
                display_name = Some(fields.display_name("user.display_name", &user.display_name));
            }
            "roles" => roles = Some(fields.roles("user.roles", user.roles.clone())),
            "disabled" => disabled = Some(user.disabled),
            _ => fields.reject(
                "update_mask",
                "must name nothing but display_name, roles and disabled",
            ),
        }
    }
    Some(Change {
        id: id?,
        display_name,
        roles,
        disabled,
    })
}
