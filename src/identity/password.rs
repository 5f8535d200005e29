//! Hashing and verifying passwords: Argon2id (RFC 9106) on blocking threads, behind a
//! bound that keeps a flood of passwords from starving everything else.
//!
//! Hashes of other systems are verified too, until their users first sign in.

mod argon2id;
mod bcrypt;
mod options;
mod pbkdf2;
mod pool;
mod scrypt;
mod stored;

use argon2::Params;

pub use self::options::{HashingOptions, HashingOptionsError};
pub use self::pool::Admission;
use self::{pool::Pool, stored::StoredHash};
use crate::{
    metrics::HashingMetrics,
    model::password::{Password, PasswordHash, PasswordPolicy, Weakness},
};

/// Hashes and verifies passwords. One for the whole server, shared by reference.
#[derive(Debug)]
pub struct PasswordHasher {
    live: Params,
    pool: Pool,
    nobody: PasswordHash,
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password is the one that was hashed.
    pub matches: bool,
    /// Whether the stored hash is weaker than new ones are. After a match, hash the
    /// password again and replace it.
    pub outdated: bool,
}

impl PasswordHasher {
    /// Takes any parameters that [`PasswordHasher::verify`] would execute, weak ones too:
    /// a server has [`HashingOptions::validate`] called on what it is configured with.
    ///
    /// # Errors
    ///
    /// [`HashingOptionsError`], never [`HashingOptionsError::Weak`].
    pub fn new(options: HashingOptions) -> Result<Self, HashingOptionsError> {
        let live = options.params()?;
        let pool = Pool::new(options.concurrency, options.queue, live.block_count());
        Ok(Self {
            // Its verdict is thrown away, so that nothing about it has to be secret.
            nobody: argon2id::phc(&live, &[0; 16], &[0; argon2id::OUTPUT_BYTES]),
            live,
            pool,
        })
    }

    /// The hasher, which counts what it does in `metrics` from now on.
    #[must_use]
    pub fn measured(self, metrics: HashingMetrics) -> Self {
        let pool = self.pool.measured(metrics);
        Self { pool, ..self }
    }

    /// Takes down how many hashes run and wait at this moment.
    pub fn sample(&self) {
        self.pool.sample();
    }

    /// Checks a new password by [`PasswordPolicy::check`], under the same bound as hashing
    /// since it is work as well.
    ///
    /// # Errors
    ///
    /// [`HashError::Busy`] or [`HashError::Stopped`]; what the policy says is within.
    pub async fn check(
        &self,
        policy: PasswordPolicy,
        password: &Password,
        context: &[&str],
    ) -> Result<Result<(), Weakness>, HashError> {
        let password = password.clone();
        let context: Vec<String> = context.iter().map(ToString::to_string).collect();
        let check = move |_: &_| {
            let context: Vec<&str> = context.iter().map(String::as_str).collect();
            policy.check(&password, &context)
        };
        self.pool.run(check).await
    }

    /// Hashes a new password with a fresh salt.
    ///
    /// # Errors
    ///
    /// [`HashError`], any but [`HashError::Unusable`].
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let mut salt = [0; argon2id::SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| HashError::Random)?;
        let (live, password) = (self.live.clone(), password.clone());
        let hash = move |memory: &_| argon2id::hash(&live, &salt, &password, memory);
        self.pool.run(hash).await?
    }

    /// Takes a hash that another system made, if [`PasswordHasher::verify`] would execute
    /// it, it costs little more than a second, and is no child's play to try out.
    ///
    /// # Errors
    ///
    /// [`UnusableHash`].
    pub fn import(phc: &str) -> Result<PasswordHash, UnusableHash> {
        let hash = PasswordHash::from_phc(phc.to_owned());
        StoredHash::parse_imported(&hash)?;
        Ok(hash)
    }

    /// Takes a place for a verification, before anything is looked up for it.
    ///
    /// # Errors
    ///
    /// [`HashError::Busy`].
    pub fn admit(&self) -> Result<Admission, HashError> {
        self.pool.admit()
    }

    /// Compares a password with a stored hash, with the parameters that it was made with.
    /// Where they do not match, the work is that of the live parameters at least, so that
    /// the time does not tell a weaker hash from [`PasswordHasher::verify_nobody`]; one that
    /// is costlier it does tell, until it is upgraded.
    ///
    /// # Errors
    ///
    /// [`HashError`]; [`HashError::Unusable`] when the stored hash is of an unknown
    /// algorithm or has absurd parameters, which are not executed.
    pub async fn verify(
        &self,
        admission: Admission,
        password: &Password,
        stored: &PasswordHash,
    ) -> Result<Verdict, HashError> {
        let stored = StoredHash::parse(stored)?;
        let outdated = stored.is_below(&self.live);
        let (live, password) = (self.live.clone(), password.clone());
        let verify = move |memory: &_| {
            let matches = stored.matches(&password, memory)?;
            if !matches {
                stored.make_up(&live, &password, memory)?;
            }
            Ok::<_, HashError>(matches)
        };
        let matches = self.pool.run_admitted(admission, verify).await??;
        Ok(Verdict { matches, outdated })
    }

    /// Does the work of [`PasswordHasher::verify`] for a login that nobody has, or whose
    /// user may not sign in, so that the time tells nothing.
    ///
    /// # Errors
    ///
    /// [`HashError`], as a verification would fail.
    pub async fn verify_nobody(
        &self,
        admission: Admission,
        password: &Password,
    ) -> Result<(), HashError> {
        self.verify(admission, password, &self.nobody)
            .await
            .map(drop)
    }
}

/// Why a password was not hashed or verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The bound is reached. Nothing was computed; another attempt may succeed soon.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The stored hash is not what this service stores.
    #[error("the stored password hash cannot be used")]
    Unusable(#[from] UnusableHash),
    /// The system has no memory for a hash.
    #[error("there is no memory to hash a password")]
    Memory,
    /// The system gave no random bytes for a salt.
    #[error("there are no random bytes for a salt")]
    Random,
    /// The hashing thread was stopped, as when the runtime shuts down.
    #[error("hashing the password was stopped")]
    Stopped,
}

/// What is wrong with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// Not a complete hash.
    #[error("it is not a hash with salt, of at most 512 bytes")]
    Malformed,
    /// Another algorithm or version.
    #[error(
        "it is none of $argon2id$, $argon2i$, $argon2d$, $scrypt$, $pbkdf2-sha256$, \
         $pbkdf2-sha512$, $2a$, $2b$ and $2y$"
    )]
    Algorithm,
    /// Parameters missing, unknown, too large, too small, or not the algorithm's.
    #[error(
        "its parameters are missing, take more than about a second or 256 MiB, or are too weak"
    )]
    Parameters,
}

#[cfg(test)]
mod tests;
