//! Checks of passwords: each is counted before it is made, and those that fail are told.

use super::{
    Error, Identity,
    password::{Admission, HashError},
};
use crate::{
    model::{audit::Act, password::Password},
    store::{
        sign_ins::{self, Attempt, Begun, Failure, Found},
        users::Credentials,
    },
};

/// A password that was found right.
pub(super) struct Checked {
    /// Whose it is, and what it was checked against.
    pub(super) credentials: Credentials,
    /// Whether it is stored under weaker parameters than new ones are.
    pub(super) outdated: bool,
    /// How many sessions the user had opened before.
    pub(super) opened: i64,
}

impl Identity {
    /// Checks a password. Whatever is wrong, the answer is one, takes the same steps, and
    /// costs one hash with the live parameters.
    pub(super) async fn check(
        &self,
        act: &Act,
        client_id: &str,
        admission: Admission,
        password: &Password,
        attempt: Attempt,
    ) -> Result<Checked, Error> {
        if let Found::Begun(begun) = &attempt.found {
            if let Some(outdated) = self.matches(admission, password, begun).await? {
                return Ok(Checked {
                    credentials: begun.credentials.clone(),
                    outdated,
                    opened: begun.opened,
                });
            }
        } else {
            self.0.hasher.verify_nobody(admission, password).await?;
        }
        let failure = Failure {
            attempt: &attempt,
            client_id,
            max_attempts: self.0.settings.sign_ins.max_failed_attempts,
        };
        let fail = async |conn: &mut _| sign_ins::fail(conn, act, &failure).await;
        self.0.pool.run(fail).await?;
        Err(Error::InvalidCredentials)
    }

    /// `None` when the password is wrong; else whether the stored hash is outdated.
    async fn matches(
        &self,
        admission: Admission,
        password: &Password,
        begun: &Begun,
    ) -> Result<Option<bool>, Error> {
        let hasher = &self.0.hasher;
        let Credentials {
            user_id,
            password_hash,
        } = &begun.credentials;
        if password_hash.is_none() {
            hasher.verify_nobody(admission, password).await?;
            return Ok(None);
        }
        match hasher.verify(admission, password, password_hash).await {
            Ok(verdict) => Ok(verdict.matches.then_some(verdict.outdated)),
            Err(HashError::Unusable(reason)) => {
                // The caller must not learn that there is such a user.
                tracing::error!(%user_id, %reason, "stored password hash refused");
                hasher.verify_nobody(hasher.admit()?, password).await?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
