//! What the tables show of each message.

use super::{
    output::Row,
    reflect,
    text::{clipped, plain, time, word},
};
use crate::proto::v1;

/// The most characters of a name or a text in a table.
const TEXT: usize = 32;
/// The most characters of the details of an event.
const DETAIL: usize = 100;

impl Row for v1::Session {
    const HEADER: &'static [&'static str] = &[
        "SESSION",
        "USER",
        "CLIENT",
        "DEVICE",
        "ADDRESS",
        "LAST SEEN",
        "REFRESHES",
        "STATE",
    ];

    fn cells(&self) -> Vec<String> {
        let device = self.device.clone().unwrap_or_default();
        let name = match device.display_name.as_str() {
            "" => &device.device_id,
            _ => &device.display_name,
        };
        let mut state = word(self.state().as_str_name(), "SESSION_STATE_");
        if self.state() == v1::SessionState::Revoked {
            state = word(self.end_reason().as_str_name(), "SESSION_END_REASON_");
        }
        vec![
            cell(&self.session_id),
            cell(&self.user_id),
            cell(&device.client_id),
            cell(&clipped(name, TEXT)),
            cell(&self.last_ip_address),
            time(self.last_seen_time.as_ref()),
            self.generation.to_string(),
            state,
        ]
    }
}

impl Row for v1::User {
    const HEADER: &'static [&'static str] = &["USER", "LOGIN", "NAME", "ROLES", "CREATED", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = match (self.disabled, self.locked) {
            (true, _) => "disabled",
            (false, true) => "locked",
            (false, false) => "enabled",
        };
        vec![
            cell(&self.user_id),
            cell(&self.login),
            cell(&clipped(&self.display_name, TEXT)),
            cell(&self.roles.join(",")),
            time(self.create_time.as_ref()),
            state.to_owned(),
        ]
    }
}

impl Row for v1::SigningKey {
    const HEADER: &'static [&'static str] = &[
        "KID",
        "ALGORITHM",
        "STATE",
        "CREATED",
        "ACTIVATED",
        "RETIRED",
        "EXPIRES",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            cell(&self.kid),
            cell(&self.algorithm),
            word(self.state().as_str_name(), "SIGNING_KEY_STATE_"),
            time(self.create_time.as_ref()),
            time(self.activate_time.as_ref()),
            time(self.retire_time.as_ref()),
            time(self.expire_time.as_ref()),
        ]
    }
}

impl Row for v1::Event {
    const HEADER: &'static [&'static str] = &[
        "TIME", "EVENT", "USER", "SESSION", "BY", "ADDRESS", "DETAIL",
    ];

    fn cells(&self) -> Vec<String> {
        let by = match &self.actor {
            None => "",
            Some(actor) if actor.user_id.is_empty() => "command line",
            Some(actor) => &actor.user_id,
        };
        vec![
            time(self.create_time.as_ref()),
            word(self.kind().as_str_name(), "EVENT_KIND_"),
            cell(&self.user_id),
            cell(&self.session_id),
            cell(by),
            cell(&self.ip_address),
            cell(&clipped(&detail(self), DETAIL)),
        ]
    }
}

impl Row for v1::ClientSessionStats {
    const HEADER: &'static [&'static str] = &["CLIENT", "LIVE SESSIONS", "USERS ONLINE"];

    fn cells(&self) -> Vec<String> {
        vec![
            cell(&self.client_id),
            self.live_session_count.to_string(),
            self.online_user_count.to_string(),
        ]
    }
}

impl Row for v1::DailySessionStats {
    const HEADER: &'static [&'static str] = &["DAY", "OPENED", "ENDED"];

    fn cells(&self) -> Vec<String> {
        vec![
            cell(&self.date),
            self.opened_session_count.to_string(),
            self.ended_session_count.to_string(),
        ]
    }
}

/// A cell is never empty, so that columns can be counted.
fn cell(text: &str) -> String {
    match text {
        "" => "-".to_owned(),
        text => plain(text),
    }
}

/// What belongs to the kind of an event: `reason=wrong-password failed_attempts=3`.
fn detail(event: &v1::Event) -> String {
    let lines = reflect::lines(event).unwrap_or_default();
    let parts = lines.iter().filter_map(|(name, value)| {
        let (detail, name) = name.split_once('.')?;
        let value = if value.contains(' ') {
            format!("\"{value}\"")
        } else {
            value.clone()
        };
        (detail != "actor").then(|| format!("{name}={value}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_of_an_event_is_what_belongs_to_its_kind() {
        let event = v1::Event {
            event_id: "e".to_owned(),
            actor: Some(v1::Actor {
                user_id: "op".to_owned(),
                session_id: "s".to_owned(),
            }),
            detail: Some(v1::event::Detail::SignInFailure(v1::SignInFailure {
                reason: v1::SignInFailureReason::WrongPassword.into(),
                failed_attempts: 3,
                client_id: "my app".to_owned(),
            })),
            ..v1::Event::default()
        };
        let expected = "reason=wrong-password failed_attempts=3 client_id=\"my app\"";
        assert_eq!(detail(&event), expected);
    }

    #[test]
    fn rows_have_a_cell_for_each_column() {
        fn fits<T: Row + Default>() -> bool {
            let cells = T::default().cells();
            cells.len() == T::HEADER.len() && cells.iter().all(|cell| !cell.is_empty())
        }
        assert!(fits::<v1::Session>() && fits::<v1::User>() && fits::<v1::SigningKey>());
        assert!(fits::<v1::Event>());
        assert!(fits::<v1::ClientSessionStats>() && fits::<v1::DailySessionStats>());
    }
}
