//! Which users are wanted.

use super::super::parse::Fields;
use crate::{identity::Settings, proto::v1, store::users::Filter};

/// The filter that is asked for. Online is who has used a session for no longer ago than an
/// access token lives.
pub(super) fn parse(fields: &mut Fields, wanted: v1::UserFilter, settings: &Settings) -> Filter {
    let name = &wanted.display_name_contains;
    Filter {
        login_prefix: fields.login_prefix("filter.login_prefix", &wanted.login_prefix),
        display_name_contains: fields.search("filter.display_name_contains", name),
        role: fields.role("filter.role", wanted.role),
        disabled: wanted.disabled,
        locked: wanted.locked,
        online: wanted.online.then_some(settings.access_token_lifetime),
        created: fields.time_range("filter.create_time", wanted.create_time),
    }
}
