//! The revocations that still matter, in memory.
//!
//! A reader sees one immutable set and takes no lock. The writer, of whom there is one,
//! makes the next: a small table of what is recent is copied for each batch, and poured
//! into the large one when it has grown to a part of it. So 200,000 entries cost a batch no
//! more than a thousand do.
//!
//! Times are microseconds since 1970 by the database's clock, which the stream tells.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use crate::{
    client::clock::{micros, timestamp_micros},
    model::access_token::Claims,
    proto::v1::{self, revocation::Kind},
};

/// How many recent entries there may be beside a small base.
const RECENT: usize = 1_024;
/// For how many seconds after a change of roles tokens may show those before: it was committed
/// within them.
const COMMITTED_WITHIN: i64 = 60;
/// Which part of the base they may be beside a large one.
const PART: usize = 16;
/// How often what is too old is forgotten, in parts of the time that entries matter.
const SWEEPS: i64 = 4;

/// Why a token that has not expired is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Void {
    /// Its session has ended.
    SessionEnded,
    /// A later token of its session is the one that counts.
    Superseded,
}

/// The set as a reader sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Revocations {
    base: Arc<Tables>,
    recent: Arc<Tables>,
}

impl Revocations {
    /// Judges a token at `now`, and gives it the roles that its user has by now.
    pub(super) fn judge(&self, claims: &mut Claims, now: i64) -> Result<(), Void> {
        if let Some(session) = self.find(|tables| tables.sessions.get(&claims.sid)) {
            session.judge(claims.generation, now)?;
        }
        if let Some(user) = self.find(|tables| tables.users.get(&claims.sub))
            && claims.iat <= user.time.div_euclid(1_000_000) + COMMITTED_WITHIN
        {
            claims.roles = user.roles.to_vec();
        }
        Ok(())
    }

    /// Whether a key was dropped.
    pub(super) fn key_is_dropped(&self, kid: &str) -> bool {
        self.find(|tables| tables.keys.get(kid)).is_some()
    }

    fn find<'a, T>(&'a self, look: impl Fn(&'a Tables) -> Option<&'a T>) -> Option<&'a T> {
        look(&self.recent).or_else(|| look(&self.base))
    }
}

#[derive(Clone, Debug, Default)]
struct Tables {
    sessions: HashMap<Uuid, Session>,
    users: HashMap<Uuid, User>,
    keys: HashSet<Box<str>>,
}

impl Tables {
    fn len(&self) -> usize {
        self.sessions.len() + self.users.len() + self.keys.len()
    }

    fn forget_before(&mut self, time: i64) {
        self.sessions.retain(|_, session| session.time >= time);
        self.users.retain(|_, user| user.time >= time);
        // Keys are for ever: whoever has a dropped one chooses the `exp` of its tokens.
    }
}

/// What is known of a session.
#[derive(Clone, Debug, Default)]
struct Session {
    /// When the last of it happened.
    time: i64,
    ended: bool,
    /// The first generation whose token counts.
    first: u32,
    /// The same of later refreshes, and from when on. Each is kept until then: the newest
    /// alone would let a session that is refreshed often keep its oldest token for ever.
    pending: Vec<(u32, i64)>,
}

impl Session {
    fn judge(&self, generation: u32, now: i64) -> Result<(), Void> {
        if self.ended {
            return Err(Void::SessionEnded);
        }
        let effective = self.pending.iter().filter(|(_, from)| *from <= now);
        let first = effective.fold(self.first, |first, (next, _)| first.max(*next));
        if generation < first {
            return Err(Void::Superseded);
        }
        Ok(())
    }

    fn supersede(&mut self, generation: u32, effective: i64, now: i64) {
        self.pending.push((generation, effective));
        let first = &mut self.first;
        self.pending.retain(|(next, from)| {
            if *from <= now {
                *first = (*first).max(*next);
            }
            *from > now
        });
        self.pending.sort_unstable();
        self.pending.dedup();
    }
}

/// The roles of a user since a change.
#[derive(Clone, Debug)]
struct User {
    time: i64,
    roles: Arc<[String]>,
}

/// The set as its writer holds it.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    set: Revocations,
    /// When the base was made.
    swept: i64,
}

impl Recorder {
    /// One that knows nothing yet of what a whole snapshot tells. It may lack keys that were
    /// dropped long ago.
    pub(super) fn anew(&self) -> Self {
        let mut anew = Self::default();
        let keys = self.set.base.keys.union(&self.set.recent.keys);
        Arc::make_mut(&mut anew.set.base).keys = keys.cloned().collect();
        anew
    }

    /// The set as it is now.
    pub(super) fn set(&self) -> Revocations {
        self.set.clone()
    }

    /// Adds revocations, told at `now`. Each means the same however often it comes.
    pub(super) fn add(&mut self, batch: &[v1::Revocation], now: i64) {
        let recent = Arc::make_mut(&mut self.set.recent);
        for revocation in batch {
            if note(&self.set.base, recent, revocation, now).is_none() {
                tracing::warn!("a revocation of a kind that this client does not know");
            }
        }
    }

    /// Keeps the tables small: forgets what happened more than `retention` before `now`.
    pub(super) fn tidy(&mut self, now: i64, retention: Duration) {
        let (base, recent) = (&self.set.base, &self.set.recent);
        let full = recent.len() > RECENT.max(base.len() / PART);
        let due = now - self.swept > micros(retention) / SWEEPS;
        if !full && (!due || base.len() + recent.len() == 0) {
            return;
        }
        let mut next = Tables::clone(base);
        let recent = Arc::unwrap_or_clone(std::mem::take(&mut self.set.recent));
        next.sessions.extend(recent.sessions);
        next.users.extend(recent.users);
        next.keys.extend(recent.keys);
        next.forget_before(now.saturating_sub(micros(retention)));
        self.set.base = Arc::new(next);
        self.swept = now;
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.set.base.len() + self.set.recent.len()
    }
}

/// Notes one revocation; `None` where it cannot be understood.
fn note(base: &Tables, recent: &mut Tables, revocation: &v1::Revocation, now: i64) -> Option<()> {
    let time = revocation.time.as_ref().map_or(now, timestamp_micros);
    match revocation.kind.as_ref()? {
        Kind::SessionEnded(ended) => {
            session(base, recent, &ended.session_id, time)?.ended = true;
        }
        Kind::TokensSuperseded(superseded) => {
            let effective = superseded.effective_time.as_ref();
            let effective = effective.map_or(time, timestamp_micros);
            let session = session(base, recent, &superseded.session_id, time)?;
            session.supersede(superseded.generation, effective, now);
        }
        Kind::RolesChanged(changed) => {
            let id = Uuid::try_parse(&changed.user_id).ok()?;
            let known = recent.users.get(&id).or_else(|| base.users.get(&id));
            if known.is_none_or(|known| known.time <= time) {
                let roles = changed.roles.clone().into();
                recent.users.insert(id, User { time, roles });
            }
        }
        Kind::KeyDropped(dropped) => {
            recent.keys.insert(dropped.kid.as_str().into());
        }
    }
    Some(())
}

/// The recent entry of a session, which begins with what the base knows of it.
fn session<'a>(
    base: &Tables,
    recent: &'a mut Tables,
    id: &str,
    time: i64,
) -> Option<&'a mut Session> {
    let id = Uuid::try_parse(id).ok()?;
    let known = || base.sessions.get(&id).cloned().unwrap_or_default();
    let session = recent.sessions.entry(id).or_insert_with(known);
    session.time = session.time.max(time);
    Some(session)
}

#[cfg(test)]
mod tests;
