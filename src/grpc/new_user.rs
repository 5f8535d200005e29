//! The fields of a user to create, which `Register` and `CreateUser` share.

use tonic::Status;

use super::parse::Fields;
use crate::identity::{Identity, NewUser};

/// The fields as they came.
pub(super) struct NewUserFields {
    pub(super) login: String,
    pub(super) password: String,
    pub(super) display_name: String,
    pub(super) roles: Vec<String>,
}

impl NewUserFields {
    /// The user to create. The password is judged together with the other fields, so
    /// that one answer names everything.
    pub(super) async fn parse(self, identity: &Identity) -> Result<NewUser, Status> {
        let mut fields = Fields::default();
        let login = fields.login("login", &self.login);
        let display_name = fields.display_name("display_name", &self.display_name);
        let roles = fields.roles("roles", self.roles);
        let policy = identity.settings().password_policy;
        let password = fields.new_password("password", &self.password, policy);
        if let Some(password) = &password {
            let weakness = identity
                .weakness(password, &self.login, &self.display_name)
                .await?;
            if let Some(weakness) = weakness {
                fields.reject("password", weakness.to_string());
            }
        }
        fields.finish(|| {
            Some(NewUser {
                login: login?,
                password: password?,
                display_name,
                roles,
            })
        })
    }
}
