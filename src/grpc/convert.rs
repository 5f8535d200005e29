//! Types into replies.

use prost_types::Timestamp;
use time::OffsetDateTime;

use crate::{
    identity::Granted,
    model::{
        binding::{Binding, Reaction},
        login::{LoginKind, UserLogin},
        session::{Device, EndReason, Origin, State},
        signing_key::{KeyState, SigningKey},
        token_mode::TokenMode,
        user::User,
    },
    proto::v1,
    store::{session_stats::SessionStats, sessions::SeenSession},
};

pub(super) fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: time.unix_timestamp(),
        // Below 1,000,000,000.
        nanos: time.nanosecond().cast_signed(),
    }
}

pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A user as `UserAdmin` answers with: with logins and lock.
pub(super) fn whole_user(mut whole: User) -> v1::User {
    let logins = std::mem::take(&mut whole.logins);
    v1::User {
        logins: logins.into_iter().map(user_login).collect(),
        locked: whole.locked,
        ..user(whole)
    }
}

fn user_login(login: UserLogin) -> v1::UserLogin {
    let kind = match login.kind {
        LoginKind::Username => v1::LoginKind::Username,
        LoginKind::Email => v1::LoginKind::Email,
        LoginKind::Phone => v1::LoginKind::Phone,
    };
    v1::UserLogin {
        login: login.login,
        kind: kind.into(),
        create_time: Some(timestamp(login.created_at)),
    }
}

pub(super) fn user(user: User) -> v1::User {
    v1::User {
        logins: Vec::new(),
        locked: false,
        user_id: user.id.to_string(),
        login: user.login,
        display_name: user.display_name,
        roles: user.roles.into_names(),
        disabled: user.disabled_at.is_some(),
        create_time: Some(timestamp(user.created_at)),
        update_time: Some(timestamp(user.updated_at)),
    }
}

pub(super) fn session(seen: SeenSession) -> v1::Session {
    let SeenSession { session, now } = seen;
    let state = session.state(now);
    let ended = match state {
        State::Revoked(ended) => Some(ended),
        State::Live | State::Expired => None,
    };
    let reason = ended.map_or(v1::SessionEndReason::Unspecified, |ended| {
        end_reason(ended.reason)
    });
    v1::Session {
        session_id: session.id.to_string(),
        user_id: session.user_id.to_string(),
        create_time: Some(timestamp(session.created_at)),
        last_seen_time: Some(timestamp(session.last_seen_at)),
        generation: session.generation,
        idle_expire_time: Some(timestamp(session.idle_expires_at)),
        absolute_expire_time: Some(timestamp(session.absolute_expires_at)),
        state: session_state(state).into(),
        end_reason: reason.into(),
        end_time: ended.map(|ended| timestamp(ended.at)),
        last_ip_address: address(&session.last_origin),
        last_user_agent: session.last_origin.user_agent,
        token_mode: token_mode(session.token_mode).into(),
        binding: session.binding.map(binding),
        device: Some(device(session.device)),
    }
}

pub(super) fn device(device: Device) -> v1::Device {
    v1::Device {
        device_id: device.device_id.unwrap_or_default(),
        display_name: device.display_name,
        client_id: device.client_id,
        ip_address: address(&device.origin),
        user_agent: device.origin.user_agent,
    }
}

fn address(origin: &Origin) -> String {
    origin
        .ip_address
        .map(|ip| ip.to_string())
        .unwrap_or_default()
}

fn token_mode(mode: TokenMode) -> v1::TokenMode {
    match mode {
        TokenMode::Pair => v1::TokenMode::Pair,
        TokenMode::Single => v1::TokenMode::Single,
    }
}

fn binding(binding: Binding) -> v1::SessionBinding {
    v1::SessionBinding {
        user_agent: binding.user_agent,
        ip_prefix_length: binding.ip_prefix_length.unwrap_or_default().into(),
        reaction: reaction(binding.reaction).into(),
    }
}

pub(super) fn reaction(reaction: Reaction) -> v1::BindingReaction {
    match reaction {
        Reaction::Note => v1::BindingReaction::Note,
        Reaction::Refuse => v1::BindingReaction::Refuse,
        Reaction::End => v1::BindingReaction::End,
    }
}

fn session_state(state: State) -> v1::SessionState {
    match state {
        State::Live => v1::SessionState::Live,
        State::Expired => v1::SessionState::Expired,
        State::Revoked(_) => v1::SessionState::Revoked,
    }
}

pub(super) fn end_reason(reason: EndReason) -> v1::SessionEndReason {
    match reason {
        EndReason::LoggedOut => v1::SessionEndReason::LoggedOut,
        EndReason::RevokedByUser => v1::SessionEndReason::RevokedByUser,
        EndReason::RevokedByAdmin => v1::SessionEndReason::RevokedByAdmin,
        EndReason::Replaced => v1::SessionEndReason::Replaced,
        EndReason::TokenReused => v1::SessionEndReason::TokenReused,
        EndReason::PasswordChanged => v1::SessionEndReason::PasswordChanged,
        EndReason::UserDisabled => v1::SessionEndReason::UserDisabled,
        EndReason::UserDeleted => v1::SessionEndReason::UserDeleted,
        EndReason::Displaced => v1::SessionEndReason::Displaced,
        EndReason::BindingBroken => v1::SessionEndReason::BindingBroken,
    }
}

pub(super) fn session_stats(
    time: OffsetDateTime,
    stats: SessionStats,
) -> v1::GetSessionStatsResponse {
    let clients = stats.clients.into_iter().map(|it| v1::ClientSessionStats {
        client_id: it.client_id,
        live_session_count: it.live_sessions,
        online_user_count: it.online_users,
    });
    let days = stats.days.into_iter().map(|it| v1::DailySessionStats {
        date: it.date,
        opened_session_count: it.opened_sessions,
        ended_session_count: it.ended_sessions,
    });
    v1::GetSessionStatsResponse {
        compute_time: Some(timestamp(time)),
        live_session_count: stats.live_sessions,
        live_user_count: stats.live_users,
        online_user_count: stats.online_users,
        clients: clients.collect(),
        days: days.collect(),
    }
}

pub(super) fn signing_key(key: SigningKey) -> v1::SigningKey {
    let state = match key.state {
        KeyState::Next => v1::SigningKeyState::Next,
        KeyState::Active { .. } => v1::SigningKeyState::Active,
        KeyState::Retiring { .. } => v1::SigningKeyState::Retiring,
        KeyState::Gone { dropped: false, .. } => v1::SigningKeyState::Gone,
        KeyState::Gone { dropped: true, .. } => v1::SigningKeyState::Dropped,
    };
    v1::SigningKey {
        algorithm: key.algorithm.to_string(),
        state: state.into(),
        create_time: Some(timestamp(key.created_at)),
        activate_time: key.activated_at().map(timestamp),
        retire_time: key.retired_at().map(timestamp),
        expire_time: key.expires_at().map(timestamp),
        kid: key.kid,
    }
}

/// The parts of a reply that grants tokens.
pub(super) struct Grant {
    pub(super) tokens: v1::TokenPair,
    pub(super) session: v1::Session,
    pub(super) user_id: String,
    pub(super) roles: Vec<String>,
}

pub(super) fn grant(granted: Granted) -> Grant {
    let now = granted.session.rotated_at;
    Grant {
        tokens: v1::TokenPair {
            access_token: granted.access_token.expose().to_owned(),
            access_token_expire_time: Some(timestamp(granted.access_token.expires_at())),
            refresh_token: granted.refresh_token.expose().to_owned(),
            refresh_token_expire_time: Some(timestamp(granted.session.idle_expires_at)),
        },
        user_id: granted.session.user_id.to_string(),
        session: session(SeenSession {
            session: granted.session,
            now,
        }),
        roles: granted.roles.into_names(),
    }
}
