//! What a refresh that did not rotate means.
//!
//! A rotation is one statement that either matches its session's row or does not.
//! Where it does not, the row as it stands tells an honest retry from a theft.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::refresh_token::Commitment;

/// What a refresh request presents.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    /// The generation of the token.
    pub generation: u32,
    /// `h`: the commitment that the token carries.
    pub commitment: Commitment,
    /// `h'`: the commitment of this request.
    pub next: Commitment,
    /// For how long after the rotation a repetition is taken for a retry.
    pub replay_window: Duration,
}

/// What the session's row says of its generations.
#[derive(Clone, Copy, Debug)]
pub struct Lineage {
    /// The generation in force.
    pub generation: u32,
    /// The commitment of the request that made it.
    pub current: Commitment,
    /// The commitment of the generation before; `None` at generation 0.
    pub previous: Option<Commitment>,
    /// When the generation in force was made.
    pub rotated_at: OffsetDateTime,
}

impl Lineage {
    /// How long it is at `now` until the generation in force may be succeeded; `None`
    /// once it may.
    #[must_use]
    pub fn wait(&self, min_interval: Option<Duration>, now: OffsetDateTime) -> Option<Duration> {
        let left = self.rotated_at + min_interval? - now;
        left.is_positive().then(|| left.unsigned_abs())
    }
}

/// What to do about a refresh of a live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same request again: answer with the same successor, change nothing.
    Repeated,
    /// Two parties hold a token of this session: end it.
    Reused(Reuse),
    /// The token is newer than the row: the database lost a commit. End nothing.
    Ahead,
    /// The token is the one in force: rotate again.
    Current,
}

/// How a refresh token was reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reuse {
    /// The right request, but after the replay window.
    Late,
    /// Another request for a generation that was already succeeded.
    Fork,
    /// A generation further back than any retry reaches.
    Ancestor,
    /// The generation in force, made by another request: one of the two was
    /// written to a database that then lost it.
    ForkAcrossLostCommit,
}

/// Judges a genuine token against the row of its live session at `now`, a time of
/// the database's clock.
#[must_use]
pub fn judge(row: &Lineage, presented: &Presented, now: OffsetDateTime) -> Verdict {
    if presented.generation > row.generation {
        return Verdict::Ahead;
    }
    match row.generation - presented.generation {
        0 if presented.commitment == row.current => Verdict::Current,
        0 => Verdict::Reused(Reuse::ForkAcrossLostCommit),
        1 if row.previous == Some(presented.commitment) && row.current == presented.next => {
            if now - row.rotated_at <= presented.replay_window {
                Verdict::Repeated
            } else {
                Verdict::Reused(Reuse::Late)
            }
        }
        1 => Verdict::Reused(Reuse::Fork),
        _ => Verdict::Reused(Reuse::Ancestor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: [Commitment; 4] = [
        Commitment([0; 16]),
        Commitment([1; 16]),
        Commitment([2; 16]),
        Commitment([3; 16]),
    ];
    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    /// A row at generation 2, made by request 2 out of request 1's, 100 s ago.
    fn row() -> Lineage {
        Lineage {
            generation: 2,
            current: H[2],
            previous: Some(H[1]),
            rotated_at: NOW - Duration::from_secs(100),
        }
    }

    fn verdict(generation: u32, commitment: Commitment, next: Commitment) -> Verdict {
        let presented = Presented {
            generation,
            commitment,
            next,
            replay_window: Duration::from_secs(120),
        };
        judge(&row(), &presented, NOW)
    }

    #[test]
    fn every_line_of_the_verdict_table() {
        assert_eq!(verdict(2, H[2], H[3]), Verdict::Current);
        assert_eq!(verdict(1, H[1], H[2]), Verdict::Repeated);
        assert_eq!(verdict(1, H[1], H[3]), Verdict::Reused(Reuse::Fork));
        assert_eq!(verdict(1, H[3], H[2]), Verdict::Reused(Reuse::Fork));
        assert_eq!(verdict(0, H[0], H[1]), Verdict::Reused(Reuse::Ancestor));
        assert_eq!(
            verdict(2, H[3], H[1]),
            Verdict::Reused(Reuse::ForkAcrossLostCommit)
        );
        assert_eq!(verdict(3, H[3], H[1]), Verdict::Ahead);
    }

    #[test]
    fn retry_is_repeated_up_to_the_edge_of_the_window_and_reuse_after() {
        let at_window = |window| {
            let presented = Presented {
                generation: 1,
                commitment: H[1],
                next: H[2],
                replay_window: Duration::from_secs(window),
            };
            judge(&row(), &presented, NOW)
        };
        assert_eq!(at_window(100), Verdict::Repeated);
        assert_eq!(at_window(99), Verdict::Reused(Reuse::Late));
    }

    #[test]
    fn generation_of_a_sign_in_has_no_parent_to_replay() {
        let opened = Lineage {
            generation: 0,
            current: H[0],
            previous: None,
            rotated_at: NOW,
        };
        let presented = Presented {
            generation: 0,
            commitment: H[1],
            next: H[2],
            replay_window: Duration::from_secs(120),
        };
        let verdict = judge(&opened, &presented, NOW);
        assert_eq!(verdict, Verdict::Reused(Reuse::ForkAcrossLostCommit));
    }
}
