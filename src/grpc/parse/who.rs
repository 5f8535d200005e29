//! Who somebody is: logins, passwords, roles.

use super::Fields;
use crate::{
    model::{
        login::{Login, LoginKind},
        password::{Password, PasswordPolicy},
        role::{Roles, RolesError},
    },
    proto::v1,
};

const MAX_LOOKUP_LOGIN: usize = 512;

impl Fields {
    /// A login to create.
    pub(in super::super) fn login(&mut self, field: &str, text: &str) -> Option<Login> {
        Login::parse(text)
            .map_err(|error| self.reject(field, error.to_string()))
            .ok()
    }

    /// A login to add: of a kind that can be added.
    pub(in super::super) fn further_login(
        &mut self,
        field: &str,
        text: &str,
        kind_field: &str,
        kind: i32,
    ) -> Option<(Login, LoginKind)> {
        let (parsed, kind) = match v1::LoginKind::try_from(kind) {
            Ok(v1::LoginKind::Email) => (Login::email(text), Some(LoginKind::Email)),
            Ok(v1::LoginKind::Phone) => (Login::phone(text), Some(LoginKind::Phone)),
            Ok(v1::LoginKind::Unspecified | v1::LoginKind::Username) | Err(_) => {
                (Login::parse(text), None)
            }
        };
        let login = parsed.map_err(|error| self.reject(field, error.to_string()));
        if kind.is_none() {
            self.reject(kind_field, "must be LOGIN_KIND_EMAIL or LOGIN_KIND_PHONE");
        }
        login.ok().zip(kind)
    }

    /// The beginning of a login, in the form that is matched; an empty one is none.
    pub(in super::super) fn login_prefix(&mut self, field: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        Login::key_of_prefix(text)
            .map_err(|error| self.reject(field, error.to_string()))
            .ok()
    }

    /// A login to look up, which need not be one that can be created.
    pub(in super::super) fn lookup_login(&mut self, field: &str, text: &str) -> Option<String> {
        if text.is_empty() || text.len() > MAX_LOOKUP_LOGIN {
            self.reject(field, format!("must be 1 to {MAX_LOOKUP_LOGIN} bytes"));
            return None;
        }
        Some(text.to_owned())
    }

    /// A password within its byte limit; an empty one is taken, and is a wrong one.
    pub(in super::super) fn password(&mut self, field: &str, text: &str) -> Option<Password> {
        Password::new(text)
            .map_err(|error| self.reject(field, error.to_string()))
            .ok()
    }

    /// A password to set, as far as it can be judged without knowing whose it is.
    pub(in super::super) fn new_password(
        &mut self,
        field: &str,
        text: &str,
        policy: PasswordPolicy,
    ) -> Option<Password> {
        let password = self.password(field, text)?;
        match policy.check_length(&password) {
            Ok(()) => Some(password),
            Err(weakness) => {
                self.reject(field, weakness.to_string());
                None
            }
        }
    }

    pub(in super::super) fn roles(&mut self, field: &str, names: Vec<String>) -> Roles {
        Roles::parse(names).unwrap_or_else(|error| {
            match error {
                RolesError::TooMany => self.reject(field, error.to_string()),
                RolesError::Malformed(at) => {
                    self.reject(format!("{field}[{at}]"), error.to_string());
                }
            }
            Roles::default()
        })
    }

    /// One role to search for; an empty one is none.
    pub(in super::super) fn role(&mut self, field: &str, name: String) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let parsed =
            Roles::parse(vec![name]).map_err(|error| self.reject(field, error.to_string()));
        parsed.ok()?.into_names().pop()
    }
}
