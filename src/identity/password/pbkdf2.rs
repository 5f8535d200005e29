//! PBKDF2 (RFC 8018) with HMAC of SHA-256 or SHA-512, in both forms that are in use:
//!
//! - PHC: `$pbkdf2-sha256$i=<iterations>,l=<bytes>$<salt>$<hash>`;
//! - modular crypt, as passlib writes it: `$pbkdf2-sha256$<iterations>$<salt>$<hash>`, in a
//!   base64 that has `.` in the place of `+`.

use std::num::NonZeroU32;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    pbkdf2::{Algorithm, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512, derive},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::UnusableHash;
use crate::model::password::Password;

/// Fewer were weak twenty years ago (RFC 2898).
const MIN_ITERATIONS: u32 = 1_000;
/// More take longer than a second or two.
const MAX_ITERATIONS: u32 = 4_000_000;
const MIN_SALT: usize = 8;
const MAX_SALT: usize = 64;
const MIN_OUTPUT: usize = 16;
const MAX_OUTPUT: usize = 64;

/// A hash that is safe to execute.
pub(super) struct Stored {
    algorithm: Algorithm,
    /// Iterations that take as long as a KiB of Argon2.
    pace: u32,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Stored {
    /// Reads either form: `None` where it is of another algorithm.
    pub(super) fn parse(stored: &str) -> Option<Result<Self, UnusableHash>> {
        let (algorithm, pace, rest) = if let Some(rest) = stored.strip_prefix("$pbkdf2-sha256$") {
            (PBKDF2_HMAC_SHA256, 3, rest)
        } else {
            let rest = stored.strip_prefix("$pbkdf2-sha512$")?;
            (PBKDF2_HMAC_SHA512, 1, rest)
        };
        Some(Self::parse_rest(algorithm, pace, rest))
    }

    fn parse_rest(algorithm: Algorithm, pace: u32, rest: &str) -> Result<Self, UnusableHash> {
        let parts: Vec<&str> = rest.split('$').collect();
        let [parameters, salt, output] = parts[..] else {
            return Err(UnusableHash::Malformed);
        };
        let modular = parameters.bytes().all(|b| b.is_ascii_digit());
        let decoded = |text: &str| {
            let plain = if modular {
                text.replace('.', "+")
            } else {
                text.to_owned()
            };
            STANDARD_NO_PAD.decode(plain)
        };
        let (Ok(salt), Ok(output)) = (decoded(salt), decoded(output)) else {
            return Err(UnusableHash::Malformed);
        };
        let fits = (MIN_SALT..=MAX_SALT).contains(&salt.len())
            && (MIN_OUTPUT..=MAX_OUTPUT).contains(&output.len());
        if !fits {
            return Err(UnusableHash::Malformed);
        }
        let iterations = if modular {
            parameters.parse().ok()
        } else {
            parse_phc(parameters, output.len())
        };
        let iterations = iterations
            .filter(|iterations| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(iterations))
            .and_then(NonZeroU32::new)
            .ok_or(UnusableHash::Parameters)?;
        Ok(Self {
            algorithm,
            pace,
            iterations,
            salt,
            output,
        })
    }

    /// In Argon2's KiB times passes.
    pub(super) fn work(&self) -> u64 {
        u64::from(self.iterations.get() / self.pace)
    }

    /// Whether `password` gives the same hash, compared in constant time.
    pub(super) fn matches(&self, password: &Password) -> bool {
        let mut computed = [0; MAX_OUTPUT];
        let computed = &mut computed[..self.output.len()];
        let password = password.expose().as_bytes();
        derive(
            self.algorithm,
            self.iterations,
            &self.salt,
            password,
            computed,
        );
        verify_slices_are_equal(computed, &self.output).is_ok()
    }
}

/// The iterations of `i=<iterations>` with or without `,l=<bytes>`, which says again how
/// long the hash is.
fn parse_phc(parameters: &str, length: usize) -> Option<u32> {
    let (iterations, bytes) = match parameters.split_once(',') {
        Some((iterations, bytes)) => (iterations, Some(bytes)),
        None => (parameters, None),
    };
    if let Some(bytes) = bytes {
        let bytes: usize = bytes.strip_prefix("l=")?.parse().ok()?;
        if bytes != length {
            return None;
        }
    }
    iterations.strip_prefix("i=")?.parse().ok()
}
