//! Events into replies.

use std::net::IpAddr;

use super::{convert, json::from_json};
use crate::{
    model::{
        audit::{
            Act, Actor, BindingBreach, Detail, Event, EventKind, SignInFailure,
            SignInFailureReason, TokenUse, UserChange, UserLogin,
        },
        verdict::Reuse,
    },
    proto::v1::{self, event},
};

/// What all names of kinds begin with.
const PREFIX: &str = "EVENT_KIND_";

pub(super) fn event(event: Event) -> v1::Event {
    let user_id = event.user_id.map(|id| id.to_string()).unwrap_or_default();
    let ip_address = event.act.ip_address;
    let detail = event.detail;
    v1::Event {
        event_id: event.id.0.to_string(),
        create_time: Some(convert::timestamp(event.created_at)),
        kind: event.kind.map(kind).unwrap_or_default().into(),
        detail: detail.map(|it| self::detail(it, &user_id)),
        user_id,
        session_id: event
            .session_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        actor: actor(&event.act),
        request_id: event.act.request_id,
        ip_address: address(ip_address),
    }
}

/// The kind of a number that a caller gave.
pub(super) fn parse_kind(number: i32) -> Option<EventKind> {
    let kind = v1::EventKind::try_from(number).ok()?;
    EventKind::parse(kind.as_str_name().strip_prefix(PREFIX)?)
}

fn kind(kind: EventKind) -> v1::EventKind {
    let name = format!("{PREFIX}{}", kind.as_str());
    v1::EventKind::from_str_name(&name).unwrap_or_default()
}

fn actor(act: &Act) -> Option<v1::Actor> {
    let actor = match act.actor? {
        Actor::CommandLine => v1::Actor::default(),
        Actor::Operator {
            user_id,
            session_id,
        } => v1::Actor {
            user_id: user_id.to_string(),
            session_id: session_id.to_string(),
        },
    };
    Some(actor)
}

fn detail(detail: Detail, user_id: &str) -> event::Detail {
    use event::Detail as Told;
    match detail {
        Detail::SignIn(it) => Told::SignIn(v1::SignIn {
            device: Some(convert::device(it.device)),
            new_device: it.new_device,
            new_network: it.new_network,
        }),
        Detail::SignInFailure(it) => Told::SignInFailure(sign_in_failure(it)),
        Detail::SessionEnd(it) => Told::SessionEnd(v1::SessionEnd {
            reason: convert::end_reason(it.reason).into(),
        }),
        Detail::RefreshTokenReuse(it) => Told::RefreshTokenReuse(v1::RefreshTokenReuse {
            reuse: reuse(it.reuse).into(),
            replayed: Some(token_use(it.replayed)),
            last_good: Some(token_use(it.last_good)),
        }),
        Detail::BindingBreach(it) => Told::BindingBreach(binding_breach(it)),
        Detail::UserChange(it) => Told::UserChange(user_change(it, user_id)),
        Detail::UserLogin(it) => Told::UserLogin(user_login(it)),
        Detail::SigningKeyRotation(it) => Told::SigningKeyRotation(v1::SigningKeyRotation {
            kid: it.kid,
            emergency: it.emergency,
        }),
        Detail::PasswordResetTokenIssue(it) => {
            Told::PasswordResetTokenIssue(v1::PasswordResetTokenIssue {
                expire_time: Some(convert::timestamp(it.expires_at)),
            })
        }
        Detail::SessionsRevocation(it) => Told::SessionsRevocation(v1::SessionsRevocation {
            filter: from_json("SessionFilter", &it.filter),
        }),
    }
}

fn reuse(reuse: Reuse) -> v1::RefreshTokenReuseKind {
    use v1::RefreshTokenReuseKind as Told;
    match reuse {
        Reuse::Late => Told::Late,
        Reuse::Fork => Told::Fork,
        Reuse::Ancestor => Told::Ancestor,
        Reuse::ForkAcrossLostCommit => Told::ForkAcrossLostCommit,
    }
}

fn sign_in_failure(failure: SignInFailure) -> v1::SignInFailure {
    let reason = match failure.reason {
        SignInFailureReason::UnknownLogin => v1::SignInFailureReason::UnknownLogin,
        SignInFailureReason::WrongPassword => v1::SignInFailureReason::WrongPassword,
        SignInFailureReason::Disabled => v1::SignInFailureReason::Disabled,
        SignInFailureReason::Locked => v1::SignInFailureReason::Locked,
        SignInFailureReason::SessionLimit => v1::SignInFailureReason::SessionLimit,
    };
    v1::SignInFailure {
        reason: reason.into(),
        failed_attempts: failure.failed_attempts,
        client_id: failure.client_id,
    }
}

fn binding_breach(breach: BindingBreach) -> v1::BindingBreach {
    v1::BindingBreach {
        reaction: convert::reaction(breach.reaction).into(),
        presented: Some(token_use(breach.presented)),
        last_good: Some(token_use(breach.last_good)),
        bound_ip_prefix: breach.bound.ip_prefix.unwrap_or_default(),
        bound_user_agent: breach.bound.user_agent.unwrap_or_default(),
    }
}

fn token_use(used: TokenUse) -> v1::TokenUse {
    v1::TokenUse {
        generation: used.generation,
        ip_address: address(used.origin.ip_address),
        user_agent: used.origin.user_agent,
        age_seconds: used.age_seconds,
    }
}

fn user_change(change: UserChange, user_id: &str) -> v1::UserChange {
    let user = change.user;
    v1::UserChange {
        user: Some(v1::User {
            user_id: user_id.to_owned(),
            login: user.login,
            display_name: user.display_name,
            roles: user.roles,
            disabled: user.disabled,
            create_time: Some(convert::timestamp(user.created_at)),
            update_time: Some(convert::timestamp(user.updated_at)),
            ..v1::User::default()
        }),
        earlier_roles: change.earlier_roles,
        changed_fields: change.changed_fields,
        imported: change.imported,
    }
}

fn user_login(login: UserLogin) -> v1::UserLogin {
    let kind = v1::LoginKind::from_str_name(&format!("LOGIN_KIND_{}", login.kind));
    v1::UserLogin {
        login: login.login,
        kind: kind.unwrap_or_default().into(),
        create_time: Some(convert::timestamp(login.created_at)),
    }
}

fn address(address: Option<IpAddr>) -> String {
    address.map(|ip| ip.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_number_and_every_number_its_kind() {
        for known in EventKind::ALL {
            let sent = kind(*known);
            assert_ne!(sent, v1::EventKind::Unspecified, "{known:?}");
            assert_eq!(parse_kind(sent.into()), Some(*known));
        }
        for number in 1.. {
            if v1::EventKind::try_from(number).is_err() {
                assert_eq!(usize::try_from(number - 1), Ok(EventKind::ALL.len()));
                break;
            }
            assert!(parse_kind(number).is_some(), "{number}");
        }
        assert_eq!(parse_kind(0), None);
    }
}
