//! Users who come from another system, in batches.

use std::collections::{HashMap, HashSet};

use super::{Caller, Error, Identity, sign_in::ATTEMPTS};
use crate::{
    model::{audit::Act, ids::UserId},
    store::users::{self, ImportedUser, Refusal},
};

/// How many users go into one statement.
const BATCH: usize = 500;
/// How many failures are kept.
const MAX_FAILURES: usize = 100;
/// The index that lets one user have a login.
const LOGIN: &str = "user_logins_pkey";

/// An import that is under way. What it keeps is bounded, however many users come.
#[derive(Debug)]
pub struct Import {
    identity: Identity,
    caller: Caller,
    act: Act,
    batch: Vec<(u64, ImportedUser)>,
    login_keys: HashSet<String>,
    outcome: Outcome,
}

/// What became of the users so far.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many have come.
    pub seen: u64,
    /// How many were created.
    pub imported: u64,
    /// How many were passed over, since their login exists.
    pub existing: u64,
    /// How many could not be created.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<Failure>,
}

/// A user who could not be created.
#[derive(Debug)]
pub struct Failure {
    /// The place among those who came, from 0.
    pub index: u64,
    /// The field that is wrong.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Import {
    /// An import by an operator.
    #[must_use]
    pub fn new(identity: Identity, caller: Caller, act: Act) -> Self {
        Self {
            identity,
            act: act.by(caller.actor()),
            caller,
            batch: Vec::new(),
            login_keys: HashSet::new(),
            outcome: Outcome::default(),
        }
    }

    /// Takes the next user.
    ///
    /// # Errors
    ///
    /// When the caller may not go on, or the database cannot be asked; what was imported
    /// before stays.
    pub async fn take(&mut self, user: ImportedUser) -> Result<(), Error> {
        // Whether the login of the user before is free now, the database has to say.
        if self.batch.len() == BATCH || user.login_keys().any(|key| self.login_keys.contains(key)) {
            self.flush().await?;
        }
        let keys = user.login_keys().map(ToOwned::to_owned);
        self.login_keys.extend(keys);
        self.batch.push((self.outcome.seen, user));
        self.outcome.seen += 1;
        Ok(())
    }

    /// Passes over a user in whom a field is wrong.
    pub fn refuse(&mut self, field: String, description: String) {
        let index = self.outcome.seen;
        self.outcome.seen += 1;
        self.outcome.fail(index, field, description);
    }

    /// Imports what is left, and says what became of all.
    ///
    /// # Errors
    ///
    /// As [`Import::take`].
    pub async fn finish(mut self) -> Result<Outcome, Error> {
        self.flush().await?;
        let Outcome {
            imported,
            existing,
            failed,
            ..
        } = self.outcome;
        tracing::info!(imported, existing, failed, "users imported");
        Ok(self.outcome)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.identity.still_admin(&self.caller).await?;
        let (places, users): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch).into_iter().unzip();
        self.login_keys.clear();
        let (created, refusals) = self.insert(&users).await?;
        self.outcome.imported += created as u64;
        let mut refused: HashMap<UserId, Vec<String>> = HashMap::new();
        for Refusal { user_id, login_key } in refusals {
            refused.entry(user_id).or_default().push(login_key);
        }
        for (place, user) in places.into_iter().zip(&users) {
            if let Some(taken) = refused.get(&user.user.id) {
                self.outcome.refuse(place, user, taken);
            }
        }
        Ok(())
    }

    async fn insert(&self, users: &[ImportedUser]) -> Result<(usize, Vec<Refusal>), Error> {
        let pool = &self.identity.0.pool;
        let import = async |conn: &mut _| users::import(conn, &self.act, users).await;
        for _ in 0..ATTEMPTS {
            match pool.run(import).await {
                // Somebody took a login meanwhile, which the next attempt sees.
                Err(error) if error.unique_violation() == Some(LOGIN) => {}
                result => return Ok(result?),
            }
        }
        Err(Error::Conflict)
    }
}

impl Outcome {
    /// Who has the login that a user is to be created with, is that user; a further login
    /// may be anybody's.
    fn refuse(&mut self, index: u64, user: &ImportedUser, taken: &[String]) {
        let is_taken = |key: &str| taken.iter().any(|taken| taken == key);
        if is_taken(user.user.login.key()) {
            self.existing += 1;
            return;
        }
        let mut further = user.further_logins.iter();
        let at = further.position(|(login, _)| is_taken(login.key()));
        let field = format!("additional_logins[{}].login", at.unwrap_or_default());
        self.fail(index, field, "is another user's".to_owned());
    }

    fn fail(&mut self, index: u64, field: String, description: String) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(Failure {
                index,
                field,
                description,
            });
        }
    }
}
