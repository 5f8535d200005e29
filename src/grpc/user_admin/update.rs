//! How a user is named, and what is to change of one.

use prost_types::FieldMask;

use super::super::parse::Fields;
use crate::{
    model::ids::UserId,
    proto::v1::{self, get_user_request},
    store::users::Change,
};

const DISPLAY_NAME: &str = "display_name";
const ROLES: &str = "roles";
const DISABLED: &str = "disabled";

/// The fields that an update can change.
const MUTABLE: [&str; 3] = [DISPLAY_NAME, ROLES, DISABLED];

/// How a user is named.
pub(super) enum Which {
    Id(UserId),
    Login(String),
}

pub(super) fn parse_which(
    fields: &mut Fields,
    user: Option<get_user_request::User>,
) -> Option<Which> {
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

pub(super) fn parse_change(
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
