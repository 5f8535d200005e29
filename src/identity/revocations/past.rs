//! What was told, for as long as it matters.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;

use crate::model::{
    ids::{SessionId, UserId},
    revocation::{Revocation, Revoked},
};

/// The most revocations in one message.
const PART: usize = 1_000;

/// Revocations that fit into one message.
pub(super) type Part = Arc<[Revocation]>;

/// The revocations that were told, in parts of the size of a message.
pub(super) struct Past {
    retention: Duration,
    /// When the first look was, and the last.
    looks: Option<(OffsetDateTime, Look)>,
    /// Each with the time of the look that told the last of it, which may be long after it
    /// happened.
    parts: VecDeque<(OffsetDateTime, Part)>,
    /// When each was last told to have happened: a look may find it again.
    known: HashMap<Target, OffsetDateTime>,
}

/// When a look was.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) now: OffsetDateTime,
    /// Nothing can be added any more that happened before.
    pub(super) complete: OffsetDateTime,
    /// Whose transactions hung, as [`Fence::hanging`](crate::store::Fence::hanging) has it.
    pub(super) hanging: Vec<i32>,
}

/// What a later revocation of the same replaces.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Target {
    Session(SessionId),
    Roles(UserId),
    Superseded(SessionId),
    Key(String),
}

impl From<&Revoked> for Target {
    fn from(revoked: &Revoked) -> Self {
        match revoked {
            Revoked::Session { session_id, .. } => Self::Session(*session_id),
            Revoked::Roles { user_id, .. } => Self::Roles(*user_id),
            Revoked::Superseded { session_id, .. } => Self::Superseded(*session_id),
            Revoked::Key { kid } => Self::Key(kid.clone()),
        }
    }
}

/// What a watcher begins with.
pub(super) struct Snapshot {
    pub(super) parts: Vec<Part>,
    /// Whether it is everything that is kept.
    pub(super) whole: bool,
    /// The time up to which it is complete.
    pub(super) now: OffsetDateTime,
}

impl Past {
    pub(super) fn new(retention: Duration) -> Self {
        Self {
            retention,
            looks: None,
            parts: VecDeque::new(),
            known: HashMap::new(),
        }
    }

    /// The last look; `None` before the first.
    pub(super) fn last(&self) -> Option<Look> {
        self.looks.as_ref().map(|(_, last)| last.clone())
    }

    /// Takes what a look found, forgets what no longer matters, and answers what is new and
    /// does, in parts.
    pub(super) fn add(&mut self, look: Look, found: Vec<Revocation>) -> Vec<Part> {
        let now = look.now;
        let first = match &self.looks {
            // Of a clock that was set back the later times come a second time.
            Some((_, last)) if now < last.now => last.now,
            Some((first, _)) => *first,
            None => now,
        };
        self.looks = Some((first, look));
        let end = now - self.retention;
        self.forget(end);
        let mut new: Vec<Revocation> = found;
        new.retain(|revocation| {
            let target = Target::from(&revocation.revoked);
            revocation.at > end && self.known.get(&target) != Some(&revocation.at)
        });
        new.sort_by_key(|revocation| revocation.at);
        for revocation in &new {
            self.known
                .insert(Target::from(&revocation.revoked), revocation.at);
        }
        let parts: Vec<Part> = new.chunks(PART).map(Part::from).collect();
        for part in &parts {
            self.keep(now, part);
        }
        parts
    }

    /// Keeps a part, together with the one before where both fit into one.
    fn keep(&mut self, told: OffsetDateTime, part: &Part) {
        match self.parts.back_mut() {
            Some((last_told, last)) if last.len() + part.len() <= PART => {
                *last_told = told;
                *last = last.iter().chain(part.iter()).cloned().collect();
            }
            _ => self.parts.push_back((told, Arc::clone(part))),
        }
    }

    /// Forgets parts all of which is older than the retention, which goes back to `end`.
    fn forget(&mut self, end: OffsetDateTime) {
        while let Some((_, part)) = self.parts.front() {
            if part.iter().any(|revocation| revocation.at > end) {
                return;
            }
            for revocation in part.iter() {
                let target = Target::from(&revocation.revoked);
                if self.known.get(&target) == Some(&revocation.at) {
                    self.known.remove(&target);
                }
            }
            self.parts.pop_front();
        }
    }

    /// What was told after `since`, or everything where that cannot be told from here;
    /// `None` before the first look.
    pub(super) fn since(&self, since: Option<OffsetDateTime>) -> Option<Snapshot> {
        let (first, Look { now, .. }) = self.looks.as_ref()?;
        let (first, now) = (*first, *now);
        let kept = first.max(now - self.retention);
        // A time to come is that of a database whose clock was set back.
        let since = since.filter(|since| *since > kept && *since <= now);
        let told = |part: &&(OffsetDateTime, Part)| since.is_none_or(|since| part.0 > since);
        let parts = self.parts.iter().filter(told);
        Some(Snapshot {
            parts: parts.map(|(_, part)| Arc::clone(part)).collect(),
            whole: since.is_none(),
            now,
        })
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration as Span, macros::datetime};
    use uuid::Uuid;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    fn at(second: i64) -> OffsetDateTime {
        START + Span::seconds(second)
    }

    fn look(second: i64) -> Look {
        Look {
            now: at(second),
            complete: at(second),
            hanging: Vec::new(),
        }
    }

    fn ended(number: u128, second: i64) -> Revocation {
        Revocation {
            at: at(second),
            revoked: Revoked::Session {
                session_id: SessionId(Uuid::from_u128(number)),
                user_id: UserId(Uuid::nil()),
            },
        }
    }

    fn superseded(generation: u32, second: i64) -> Revocation {
        Revocation {
            at: at(second),
            revoked: Revoked::Superseded {
                session_id: SessionId(Uuid::nil()),
                generation,
            },
        }
    }

    fn flat(parts: &[Part]) -> Vec<Revocation> {
        parts.iter().flat_map(|part| part.iter().cloned()).collect()
    }

    #[test]
    fn what_a_look_finds_again_is_told_once() {
        let mut past = Past::new(Duration::from_secs(60));
        assert_eq!(flat(&past.add(look(1), vec![ended(1, 0)])), [ended(1, 0)]);
        // The second committed late: its time is before what was seen.
        let found = vec![ended(1, 0), ended(2, -5)];
        assert_eq!(flat(&past.add(look(2), found)), [ended(2, -5)]);
        assert!(
            past.add(look(3), vec![ended(1, 0), ended(2, -5)])
                .is_empty()
        );
    }

    #[test]
    fn same_session_superseded_again_is_told_again() {
        let mut past = Past::new(Duration::from_secs(60));
        past.add(look(1), vec![superseded(1, 0)]);
        let told = past.add(look(3), vec![superseded(2, 2)]);
        assert_eq!(flat(&told), [superseded(2, 2)]);
    }

    #[test]
    fn what_is_older_than_the_retention_is_forgotten() {
        let mut past = Past::new(Duration::from_secs(60));
        past.add(look(1), (0..2_500).map(|n| ended(n, 0)).collect());
        past.add(look(50), vec![ended(9_999, 50)]);
        assert_eq!(past.known.len(), 2_501);
        past.add(look(61), Vec::new());
        // The last part of the first look is kept with what came later.
        assert!(past.known.len() <= 1_000);
        past.add(look(111), Vec::new());
        assert!(past.known.is_empty() && past.parts.is_empty());
    }

    #[test]
    fn what_was_forgotten_is_not_told_again() {
        let mut past = Past::new(Duration::from_secs(60));
        past.add(look(1), vec![ended(1, 0), ended(2, 1)]);
        past.add(look(61), Vec::new());
        assert!(past.known.is_empty());
        let found = vec![ended(1, 0), ended(2, 1), ended(3, 2)];
        assert_eq!(flat(&past.add(look(61), found)), [ended(3, 2)]);
    }

    #[test]
    fn parts_hold_at_most_what_a_message_does_and_are_filled() {
        let mut past = Past::new(Duration::from_secs(60));
        for n in 0..1_500 {
            past.add(look(1), vec![ended(n, 0)]);
        }
        let sizes: Vec<usize> = past.parts.iter().map(|(_, part)| part.len()).collect();
        assert_eq!(sizes, [1_000, 500]);
    }

    #[test]
    fn snapshot_since_a_time_has_everything_that_was_told_after_it() {
        let mut past = Past::new(Duration::from_secs(60));
        assert!(past.since(None).is_none());
        past.add(look(1), (0..1_000).map(|n| ended(n, 0)).collect());
        // It committed late.
        past.add(look(20), vec![ended(9_999, -5)]);
        let some = past.since(Some(at(10))).unwrap();
        assert!(!some.whole);
        assert_eq!(flat(&some.parts), [ended(9_999, -5)]);
        let all = past.since(None).unwrap();
        assert!(all.whole);
        assert_eq!(flat(&all.parts).len(), 1_001);
    }

    #[test]
    fn snapshot_since_a_time_that_is_not_known_here_is_whole() {
        let mut past = Past::new(Duration::from_secs(60));
        past.add(look(1), vec![ended(1, 0)]);
        past.add(look(2), vec![ended(2, 2)]);
        for unknown in [-100, 0, 1, 3, 1_000] {
            assert!(past.since(Some(at(unknown))).unwrap().whole, "{unknown}");
        }
        past.add(look(100), Vec::new());
        assert!(past.since(Some(at(30))).unwrap().whole);
        assert!(!past.since(Some(at(50))).unwrap().whole);
    }

    #[test]
    fn snapshot_since_a_time_before_the_clock_was_set_back_is_whole() {
        let mut past = Past::new(Duration::from_secs(60));
        past.add(look(1), Vec::new());
        past.add(look(50), vec![ended(1, 50)]);
        past.add(look(30), vec![ended(2, 30)]);
        past.add(look(51), Vec::new());
        for unclear in [29, 31, 49] {
            assert!(past.since(Some(at(unclear))).unwrap().whole, "{unclear}");
        }
        past.add(look(60), Vec::new());
        assert!(!past.since(Some(at(55))).unwrap().whole);
    }
}
