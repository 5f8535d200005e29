//! scrypt (RFC 7914) as PHC strings: `$scrypt$ln=<log2 N>,r=<r>,p=<p>$<salt>$<hash>`.

use argon2::password_hash::phc;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use scrypt::{Params, scrypt};

use super::{HashError, UnusableHash, pool::WorkingMemory};
use crate::model::password::Password;

/// The most memory: 128 bytes times N and r.
const MAX_MEMORY_KIB: u64 = 256 * 1024;
/// The most of N times r times p: about a second.
const MAX_BLOCKS: u64 = 1 << 21;
const MAX_R: u32 = 32;
const MAX_P: u32 = 16;
const MAX_LOG_N: u32 = 21;

/// The work of a KiB that is written once and read once.
const WORK_OF_KIB: u64 = 4;

/// A hash that is safe to execute.
pub(super) struct Stored {
    params: Params,
    memory_kib: usize,
    blocks: u64,
    salt: phc::Salt,
    output: phc::Output,
}

impl Stored {
    /// Reads a PHC string: `None` where it is of another algorithm.
    pub(super) fn parse(stored: &str) -> Option<Result<Self, UnusableHash>> {
        let named = stored.starts_with("$scrypt$");
        named.then(|| Self::parse_own(stored))
    }

    fn parse_own(stored: &str) -> Result<Self, UnusableHash> {
        let stored = phc::PasswordHash::new(stored).map_err(|_| UnusableHash::Malformed)?;
        let (Some(salt), Some(output), None) = (stored.salt, stored.hash, stored.version) else {
            return Err(UnusableHash::Malformed);
        };
        let decimal = |name: &str| stored.params.get_decimal(name);
        let (Some(log_n), Some(r), Some(p), 3) = (
            decimal("ln"),
            decimal("r"),
            decimal("p"),
            stored.params.iter().count(),
        ) else {
            return Err(UnusableHash::Parameters);
        };
        let small = log_n <= MAX_LOG_N && (1..=MAX_R).contains(&r) && (1..=MAX_P).contains(&p);
        if !small {
            return Err(UnusableHash::Parameters);
        }
        let memory_kib = (u64::from(r) << log_n) / 8;
        let blocks = (u64::from(r) << log_n) * u64::from(p);
        if memory_kib > MAX_MEMORY_KIB || blocks > MAX_BLOCKS {
            return Err(UnusableHash::Parameters);
        }
        let log_n = u8::try_from(log_n).map_err(|_| UnusableHash::Parameters)?;
        let params = Params::new(log_n, r, p).map_err(|_| UnusableHash::Parameters)?;
        Ok(Self {
            params,
            memory_kib: usize::try_from(memory_kib).map_err(|_| UnusableHash::Parameters)?,
            blocks,
            salt,
            output,
        })
    }

    /// In Argon2's KiB times passes.
    pub(super) fn work(&self) -> u64 {
        self.blocks / 8 * WORK_OF_KIB
    }

    /// Whether `password` gives the same hash, compared in constant time.
    pub(super) fn matches(
        &self,
        password: &Password,
        memory: &WorkingMemory,
    ) -> Result<bool, HashError> {
        let mut computed = [0; phc::Output::MAX_LENGTH];
        let computed = &mut computed[..self.output.len()];
        let password = password.expose().as_bytes();
        // It refuses only lengths out of its limits, which parsing excludes.
        memory
            .in_turn(self.memory_kib, || {
                scrypt(password, &self.salt, &self.params, computed)
            })
            .map_err(|_| HashError::Unusable(UnusableHash::Parameters))?;
        Ok(verify_slices_are_equal(computed, self.output.as_bytes()).is_ok())
    }
}
