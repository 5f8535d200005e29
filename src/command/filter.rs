//! Filters of the command line as the protos have them.

use prost_types::Timestamp;

use crate::{
    client::clock::unix_micros,
    config::{SessionFilter, UserFilter, When},
    proto::v1,
};

/// A span of time; `None` where both ends are open.
pub(super) fn time_range(after: Option<When>, before: Option<When>) -> Option<v1::TimeRange> {
    let now = unix_micros();
    let time = |when: Option<When>| -> Option<Timestamp> { when.map(|when| when.time(now)) };
    let range = v1::TimeRange {
        start_time: time(after),
        end_time: time(before),
    };
    (after.is_some() || before.is_some()).then_some(range)
}

pub(super) fn sessions(options: &SessionFilter) -> v1::SessionFilter {
    use v1::session_filter::User;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let login = options.login.clone().map(User::Login);
    v1::SessionFilter {
        user: options.user_id.clone().map(User::UserId).or(login),
        include_ended: false,
        device_id: text(&options.device_id),
        client_id: text(&options.client_id),
        ip_prefix: text(&options.ip_prefix),
        user_agent_contains: text(&options.user_agent_contains),
        create_time: time_range(options.created_after, options.created_before),
        last_seen_time: time_range(options.seen_after, options.seen_before),
        generation: options.generation.map(|range| v1::GenerationRange {
            first: range.first,
            last: range.last,
        }),
        role: text(&options.role),
        online: options.online,
    }
}

pub(super) fn users(options: &UserFilter) -> v1::UserFilter {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    v1::UserFilter {
        login_prefix: text(&options.login_prefix),
        display_name_contains: text(&options.display_name_contains),
        role: text(&options.role),
        disabled: options.disabled,
        locked: options.locked,
        online: options.online,
        create_time: time_range(options.created_after, options.created_before),
    }
}
