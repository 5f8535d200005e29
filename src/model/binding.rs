//! What a session is bound to: a refresh from elsewhere than the sign-in shows that the
//! session's token has moved.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::session::Origin;

/// What a refresh must have in common with the sign-in: at least one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whether the user agent must be that of the sign-in.
    pub user_agent: bool,
    /// How many leading bits of the address must be those of the sign-in.
    pub ip_prefix_length: Option<u8>,
    /// What happens otherwise.
    pub reaction: Reaction,
}

impl Binding {
    /// Whether a call that was seen from `seen` keeps the binding of a session that was
    /// opened from `bound`. What is unknown breaks it. `store::sessions::rotate` asks the
    /// same in SQL.
    #[must_use]
    pub fn holds(&self, bound: &Origin, seen: &Origin) -> bool {
        let same_user_agent = bound.user_agent == seen.user_agent;
        (!self.user_agent || same_user_agent) && self.has_address(bound.ip_address, seen.ip_address)
    }

    fn has_address(&self, bound: Option<IpAddr>, seen: Option<IpAddr>) -> bool {
        let Some(length) = self.ip_prefix_length else {
            return true;
        };
        let prefix = bound.and_then(|bound| IpNet::new(bound, length).ok());
        prefix
            .zip(seen)
            .is_some_and(|(prefix, seen)| prefix.contains(&seen))
    }
}

/// What happens to a refresh that breaks a session's binding. Each leaves an audit event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reaction {
    /// It succeeds.
    Note,
    /// It is refused, and the session goes on where it was.
    Refuse,
    /// The session ends.
    End,
}

impl Reaction {
    /// The text of the reaction in a row and in audit events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "NOTE",
            Self::Refuse => "REFUSE",
            Self::End => "END",
        }
    }

    /// The reaction that has this text in a row.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Note, Self::Refuse, Self::End]
            .into_iter()
            .find(|reaction| reaction.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(user_agent: &str, ip_address: &str) -> Origin {
        Origin {
            user_agent: user_agent.to_owned(),
            ip_address: ip_address.parse().ok(),
        }
    }

    #[test]
    fn binding_holds_where_every_condition_does() {
        let bound = origin("phone", "192.0.2.17");
        for (user_agent, ip_prefix_length, seen, holds) in [
            (true, None, origin("phone", ""), true),
            (true, None, origin("Phone", "192.0.2.17"), false),
            (true, None, origin("", "192.0.2.17"), false),
            (false, Some(24), origin("", "192.0.2.255"), true),
            (false, Some(24), origin("phone", "192.0.3.17"), false),
            (false, Some(24), origin("phone", ""), false),
            (false, Some(32), origin("", "192.0.2.17"), true),
            (false, Some(32), origin("", "192.0.2.16"), false),
            (false, Some(1), origin("", "2001:db8::1"), false),
            (true, Some(24), origin("phone", "192.0.2.1"), true),
            (true, Some(24), origin("phone", "198.51.100.1"), false),
            (true, Some(24), origin("laptop", "192.0.2.1"), false),
        ] {
            let binding = Binding {
                user_agent,
                ip_prefix_length,
                reaction: Reaction::Note,
            };
            assert_eq!(binding.holds(&bound, &seen), holds, "{binding:?} {seen:?}");
        }
    }

    #[test]
    fn binding_to_an_unknown_address_is_always_broken() {
        let binding = Binding {
            user_agent: false,
            ip_prefix_length: Some(24),
            reaction: Reaction::Refuse,
        };
        assert!(!binding.holds(&origin("", ""), &origin("", "192.0.2.1")));
    }

    #[test]
    fn reactions_survive_their_text() {
        for reaction in [Reaction::Note, Reaction::Refuse, Reaction::End] {
            assert_eq!(Reaction::parse(reaction.as_str()), Some(reaction));
        }
        assert_eq!(Reaction::parse("OTHER"), None);
    }
}
