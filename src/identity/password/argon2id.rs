//! Argon2 hashes as PHC strings, of which new ones are Argon2id:
//! `$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>`.

use argon2::{Algorithm, Argon2, Params, Version, password_hash::phc};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::{HashError, UnusableHash, pool::WorkingMemory};
use crate::model::password::{Password, PasswordHash};

/// The most memory of one hash, in KiB. With the passes below: a few seconds of work.
pub(super) const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// The most passes over it.
pub(super) const MAX_ITERATIONS: u32 = 20;
/// The most lanes.
pub(super) const MAX_PARALLELISM: u32 = 16;

/// What RFC 9106 section 3.1 recommends for a salt.
pub(super) const SALT_BYTES: usize = 16;
/// What Argon2's reference implementation makes.
pub(super) const OUTPUT_BYTES: usize = 32;

/// Parameters for new hashes; `None` when Argon2 does not have them or they are absurd.
pub(super) fn params(memory_kib: u32, iterations: u32, parallelism: u32) -> Option<Params> {
    params_with_output(memory_kib, iterations, parallelism, OUTPUT_BYTES)
}

fn params_with_output(m: u32, t: u32, p: u32, output: usize) -> Option<Params> {
    let sane = m <= MAX_MEMORY_KIB && t <= MAX_ITERATIONS && p <= MAX_PARALLELISM;
    // Argon2 checks the lower limits, and that there are 8 KiB for each lane.
    sane.then(|| Params::new(m, t, p, Some(output)).ok())?
}

/// Hashes a password into a PHC string.
pub(super) fn hash(
    params: &Params,
    salt: &[u8; SALT_BYTES],
    password: &Password,
    memory: &WorkingMemory,
) -> Result<PasswordHash, HashError> {
    let mut output = [0; OUTPUT_BYTES];
    compute(&argon2id(params), salt, password, &mut output, memory)?;
    Ok(phc(params, salt, &output))
}

/// Writes a hash down as a PHC string.
pub(super) fn phc(params: &Params, salt: &[u8], output: &[u8]) -> PasswordHash {
    PasswordHash::from_phc(format!(
        "$argon2id$v=19$m={},t={},p={}${}${}",
        params.m_cost(),
        params.t_cost(),
        params.p_cost(),
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output),
    ))
}

/// A stored hash of Argon2, in any of its kinds, that is safe to execute.
pub(super) struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: phc::Salt,
    output: phc::Output,
}

impl Stored {
    /// Reads a PHC string: `None` where it is of another algorithm.
    pub(super) fn parse(stored: &str) -> Option<Result<Self, UnusableHash>> {
        let name = stored.strip_prefix('$')?.split('$').next()?;
        let algorithm = Algorithm::new(name).ok()?;
        Some(Self::parse_as(algorithm, stored))
    }

    fn parse_as(algorithm: Algorithm, stored: &str) -> Result<Self, UnusableHash> {
        let stored = phc::PasswordHash::new(stored).map_err(|_| UnusableHash::Malformed)?;
        let (Some(salt), Some(output)) = (stored.salt, stored.hash) else {
            return Err(UnusableHash::Malformed);
        };
        // Before version 19 it was not written down.
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| UnusableHash::Algorithm)?;
        let decimal = |name: &str| stored.params.get_decimal(name);
        let (Some(m), Some(t), Some(p), 3) = (
            decimal("m"),
            decimal("t"),
            decimal("p"),
            stored.params.iter().count(),
        ) else {
            return Err(UnusableHash::Parameters);
        };
        let params = params_with_output(m, t, p, output.len()).ok_or(UnusableHash::Parameters)?;
        Ok(Self {
            algorithm,
            version,
            params,
            salt,
            output,
        })
    }

    /// Whether it took less than a new hash with the parameters `live` would.
    pub(super) fn is_below(&self, live: &Params) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || self.params.m_cost() < live.m_cost()
            || self.params.t_cost() < live.t_cost()
            || self.params.p_cost() < live.p_cost()
            || self.salt.len() < SALT_BYTES
            || self.output.len() < OUTPUT_BYTES
    }

    /// KiB times passes.
    pub(super) fn work(&self) -> u64 {
        work(&self.params)
    }

    /// Whether `password` gives the same hash, compared in constant time.
    pub(super) fn matches(
        &self,
        password: &Password,
        memory: &WorkingMemory,
    ) -> Result<bool, HashError> {
        let mut computed = [0; phc::Output::MAX_LENGTH];
        let computed = &mut computed[..self.output.len()];
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        compute(&argon2, &self.salt, password, computed, memory)?;
        Ok(verify_slices_are_equal(computed, self.output.as_bytes()).is_ok())
    }
}

/// Adds to the work that a hash took what a hash with the parameters `live` would have
/// taken more, to the nearest pass. Both are in KiB times passes.
pub(super) fn make_up(
    taken: u64,
    live: &Params,
    password: &Password,
    memory: &WorkingMemory,
) -> Result<(), HashError> {
    let missing = work(live).saturating_sub(taken);
    let pass = u64::from(live.m_cost());
    let passes = u32::try_from((missing + pass / 2) / pass).unwrap_or(MAX_ITERATIONS);
    if passes == 0 {
        return Ok(());
    }
    let params = params(live.m_cost(), passes, live.p_cost())
        .ok_or(HashError::Unusable(UnusableHash::Parameters))?;
    let mut unused = [0; OUTPUT_BYTES];
    let argon2 = argon2id(&params);
    compute(&argon2, &[0; SALT_BYTES], password, &mut unused, memory)
}

fn work(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

fn argon2id(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn compute(
    argon2: &Argon2<'_>,
    salt: &[u8],
    password: &Password,
    output: &mut [u8],
    memory: &WorkingMemory,
) -> Result<(), HashError> {
    let password = password.expose().as_bytes();
    memory
        .lend(argon2.params().block_count(), |blocks| {
            argon2.hash_password_into_with_memory(password, salt, output, blocks)
        })?
        // Argon2 refuses only lengths out of its limits, which types and parsing exclude.
        .map_err(|_| HashError::Unusable(UnusableHash::Parameters))
}
