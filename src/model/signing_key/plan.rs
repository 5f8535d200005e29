//! What is due. It looks at rows and the database's time alone, so that every replica
//! plans the same; that each step happens once is for the statements to see to.

use std::time::Duration;

use time::OffsetDateTime;

use super::{KeyState, Policy, SigningKey};

/// A change that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing signs: make a key that does. Nobody waits for it to be published, since
    /// nobody can have a token.
    MakeActive,
    /// Make the next key.
    MakeNext,
    /// The next key is not of the algorithm that is wanted: make another.
    ReplaceNext,
    /// Let the next key sign, retire the active one, and make another next.
    Rotate,
    /// Some key's last token has expired: publish it no longer.
    Expire,
}

/// The steps that are due at `now`, among the keys that are not gone.
#[must_use]
pub fn plan(keys: &[SigningKey], now: OffsetDateTime, policy: &Policy) -> Vec<Step> {
    let mut steps = Vec::new();
    let active = keys.iter().find(|key| key.is_active());
    let next = keys.iter().find(|key| key.is_next());
    if active.is_none() {
        steps.push(Step::MakeActive);
    }
    match (active, next) {
        (_, None) => steps.push(Step::MakeNext),
        (Some(active), Some(next)) => steps.extend(due(active, next, now, policy)),
        (None, Some(_)) => {}
    }
    if keys.iter().any(|key| expired(key, now)) {
        steps.push(Step::Expire);
    }
    steps
}

/// For how much longer `next` has to be published before it can sign; zero when it can.
#[must_use]
pub fn remaining_lead(next: &SigningKey, now: OffsetDateTime, policy: &Policy) -> Duration {
    let ready_at = next.created_at + policy.lead;
    Duration::try_from(ready_at - now).unwrap_or_default()
}

fn due(
    active: &SigningKey,
    next: &SigningKey,
    now: OffsetDateTime,
    policy: &Policy,
) -> Option<Step> {
    // A key of another algorithm too is given its lead before it is replaced: replicas
    // that disagree about the algorithm, as while they are restarted one by one, then
    // replace each other's keys every so often, and not at every look.
    if !remaining_lead(next, now, policy).is_zero() {
        return None;
    }
    if next.algorithm != policy.algorithm {
        return Some(Step::ReplaceNext);
    }
    let old = active
        .activated_at()
        .is_some_and(|since| now >= since + policy.lifetime);
    (old || active.algorithm != policy.algorithm).then_some(Step::Rotate)
}

fn expired(key: &SigningKey, now: OffsetDateTime) -> bool {
    matches!(key.state, KeyState::Retiring { expires_at, .. } if expires_at <= now)
}

#[cfg(test)]
mod tests {
    use super::{super::Algorithm, *};

    const LIFETIME: Duration = Duration::from_secs(1_000);
    const LEAD: Duration = Duration::from_secs(100);
    const POLICY: Policy = Policy {
        algorithm: Algorithm::EdDsa,
        lifetime: LIFETIME,
        lead: LEAD,
        access_token_lifetime: Duration::from_secs(10),
        renewal: Duration::from_secs(86_400),
    };
    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const INSTANT: Duration = Duration::from_nanos(1);

    fn next(age: Duration) -> SigningKey {
        SigningKey {
            kid: "next".to_owned(),
            algorithm: Algorithm::EdDsa,
            created_at: NOW - age,
            state: KeyState::Next,
        }
    }

    fn active(age: Duration) -> SigningKey {
        SigningKey {
            kid: "active".to_owned(),
            state: KeyState::Active {
                activated_at: NOW - age,
            },
            ..next(age + LEAD)
        }
    }

    fn retiring(expires_at: OffsetDateTime) -> SigningKey {
        SigningKey {
            kid: "retiring".to_owned(),
            state: KeyState::Retiring {
                activated_at: NOW - LIFETIME,
                retired_at: NOW - LEAD,
                expires_at,
            },
            ..next(LIFETIME + LEAD)
        }
    }

    fn due(keys: &[SigningKey]) -> Vec<Step> {
        plan(keys, NOW, &POLICY)
    }

    #[test]
    fn nothing_there_makes_an_active_and_a_next_key() {
        assert_eq!(due(&[]), [Step::MakeActive, Step::MakeNext]);
    }

    #[test]
    fn gap_is_filled_whatever_the_ages() {
        assert_eq!(due(&[active(LIFETIME)]), [Step::MakeNext]);
        assert_eq!(due(&[next(LEAD)]), [Step::MakeActive]);
    }

    #[test]
    fn young_keys_are_left_alone() {
        let keys = [active(LIFETIME - INSTANT), next(LEAD)];
        assert_eq!(due(&keys), []);
    }

    #[test]
    fn active_key_rotates_exactly_at_its_lifetime() {
        assert_eq!(due(&[active(LIFETIME), next(LEAD)]), [Step::Rotate]);
    }

    #[test]
    fn next_key_waits_for_its_lead_however_old_the_active_one() {
        let keys = [active(10 * LIFETIME), next(LEAD - INSTANT)];
        assert_eq!(due(&keys), []);
    }

    #[test]
    fn next_key_of_another_algorithm_is_replaced_after_its_lead() {
        let mut other = next(LEAD);
        other.algorithm = Algorithm::Es256;
        let keys = [active(LIFETIME), other.clone()];
        assert_eq!(due(&keys), [Step::ReplaceNext]);
        other.created_at = NOW - LEAD + INSTANT;
        assert_eq!(due(&[active(LIFETIME), other]), []);
    }

    #[test]
    fn young_active_key_of_another_algorithm_rotates_after_the_lead() {
        let mut other = active(INSTANT);
        other.algorithm = Algorithm::Es256;
        assert_eq!(due(&[other.clone(), next(LEAD)]), [Step::Rotate]);
        assert_eq!(due(&[other, next(LEAD - INSTANT)]), []);
    }

    #[test]
    fn retiring_key_expires_exactly_then() {
        let (a, n) = (active(INSTANT), next(INSTANT));
        let expired = due(&[a.clone(), n.clone(), retiring(NOW)]);
        assert_eq!(expired, [Step::Expire]);
        assert_eq!(due(&[a, n, retiring(NOW + INSTANT)]), []);
    }

    #[test]
    fn remaining_lead_counts_down_to_zero_and_stays() {
        let remaining = |age| remaining_lead(&next(age), NOW, &POLICY);
        assert_eq!(remaining(Duration::ZERO), LEAD);
        assert_eq!(remaining(LEAD - INSTANT), INSTANT);
        assert_eq!(remaining(LEAD), Duration::ZERO);
        assert_eq!(remaining(2 * LEAD), Duration::ZERO);
    }

    #[test]
    fn key_set_is_kept_for_less_than_the_lead() {
        assert_eq!(POLICY.max_age(), LEAD / 3);
        let slow = Policy {
            lead: LIFETIME * 100,
            ..POLICY
        };
        assert_eq!(slow.max_age(), Duration::from_secs(300));
    }
}
