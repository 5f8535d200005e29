//! Stored hashes: this server's own, and those that came with users of other systems.
//!
//! A hash is executed only if reading it found its cost sane. Work is told in the unit of
//! Argon2, KiB times passes, by rough factors: it makes up the time of a wrong password to
//! within a factor of two or so. On one x86-64 machine a KiB of scrypt took 4 to 6 units, a
//! round of bcrypt 140, 6 iterations of PBKDF2 one with SHA-256, and one of SHA-512 1.2.

use argon2::Params;

use super::{HashError, UnusableHash, argon2id, bcrypt, pbkdf2, pool::WorkingMemory, scrypt};
use crate::model::password::{Password, PasswordHash};

/// The most bytes of a hash that is imported.
const MAX_IMPORTED_BYTES: usize = 512;
/// The most work of one that is imported: some 30 times that of a hash with the default
/// parameters, about a second.
const MAX_IMPORTED_WORK: u64 = 1 << 20;
/// The least: what takes less keeps nobody from trying every password there is.
const MIN_IMPORTED_WORK: u64 = 256;

/// A stored hash that is safe to execute.
pub(super) enum StoredHash {
    Argon2(argon2id::Stored),
    Scrypt(scrypt::Stored),
    Pbkdf2(pbkdf2::Stored),
    Bcrypt(bcrypt::Stored),
}

impl StoredHash {
    /// Reads a hash and refuses what has absurd parameters.
    pub(super) fn parse(stored: &PasswordHash) -> Result<Self, UnusableHash> {
        let stored = stored.as_phc();
        if !stored.starts_with('$') {
            return Err(UnusableHash::Malformed);
        }
        let argon2 = || Some(argon2id::Stored::parse(stored)?.map(Self::Argon2));
        let scrypt = || Some(scrypt::Stored::parse(stored)?.map(Self::Scrypt));
        let pbkdf2 = || Some(pbkdf2::Stored::parse(stored)?.map(Self::Pbkdf2));
        let bcrypt = || Some(bcrypt::Stored::parse(stored)?.map(Self::Bcrypt));
        argon2()
            .or_else(scrypt)
            .or_else(pbkdf2)
            .or_else(bcrypt)
            .unwrap_or(Err(UnusableHash::Algorithm))
    }

    /// Reads a hash of another system, which must be neither costly nor worthless.
    pub(super) fn parse_imported(stored: &PasswordHash) -> Result<Self, UnusableHash> {
        if stored.as_phc().len() > MAX_IMPORTED_BYTES {
            return Err(UnusableHash::Malformed);
        }
        let parsed = Self::parse(stored)?;
        let sane = MIN_IMPORTED_WORK..=MAX_IMPORTED_WORK;
        if !sane.contains(&parsed.work()) {
            return Err(UnusableHash::Parameters);
        }
        Ok(parsed)
    }

    /// Whether it is weaker than a new hash with the parameters `live` would be. Whatever
    /// is not of Argon2id counts as such.
    pub(super) fn is_below(&self, live: &Params) -> bool {
        match self {
            Self::Argon2(stored) => stored.is_below(live),
            Self::Scrypt(_) | Self::Pbkdf2(_) | Self::Bcrypt(_) => true,
        }
    }

    /// Whether `password` gives the same hash, compared in constant time.
    pub(super) fn matches(
        &self,
        password: &Password,
        memory: &WorkingMemory,
    ) -> Result<bool, HashError> {
        match self {
            Self::Argon2(stored) => stored.matches(password, memory),
            Self::Scrypt(stored) => stored.matches(password, memory),
            Self::Pbkdf2(stored) => Ok(stored.matches(password)),
            Self::Bcrypt(stored) => Ok(stored.matches(password)),
        }
    }

    /// Does what is missing to the work of a hash with the parameters `live`.
    pub(super) fn make_up(
        &self,
        live: &Params,
        password: &Password,
        memory: &WorkingMemory,
    ) -> Result<(), HashError> {
        argon2id::make_up(self.work(), live, password, memory)
    }

    fn work(&self) -> u64 {
        match self {
            Self::Argon2(stored) => stored.work(),
            Self::Scrypt(stored) => stored.work(),
            Self::Pbkdf2(stored) => stored.work(),
            Self::Bcrypt(stored) => stored.work(),
        }
    }
}

#[cfg(test)]
mod tests;
