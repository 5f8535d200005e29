//! How much work a password hash is, and how many are made at once.

use std::{num::NonZero, thread::available_parallelism};

use argon2::Params;

use super::argon2id;

/// How passwords are hashed, and how many at once.
///
/// The working memory, `concurrency` times `memory_kib`, is kept between hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingOptions {
    /// Argon2's m: working memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Argon2's t: passes over that memory.
    pub iterations: u32,
    /// Argon2's p: lanes, which are computed one after another.
    pub parallelism: u32,
    /// How many passwords are hashed at once, each on a thread of its own.
    pub concurrency: usize,
    /// How many more may wait; the surplus is refused at once.
    pub queue: usize,
}

impl Default for HashingOptions {
    /// OWASP's parameters, as many at once as there are cores, and a queue that takes
    /// some tenths of a second to work off.
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            concurrency: cores.min(MAX_CONCURRENCY),
            queue: 8 * cores.min(MAX_CONCURRENCY),
        }
    }
}

/// tokio's blocking threads number 512; some must stay for others.
const MAX_CONCURRENCY: usize = 256;
/// Each one that waits holds a password and an open call.
const MAX_QUEUE: usize = 10_000;

/// Memory (KiB) and passes that OWASP holds to be equally strong, the least of all.
const MINIMA: [(u32, u32); 5] = [
    (47_104, 1),
    (19_456, 2),
    (12_288, 3),
    (9_216, 4),
    (7_168, 5),
];

impl HashingOptions {
    /// Checks that the options are fit for real passwords: no weaker than OWASP's
    /// minimum and within the limits of [`PasswordHasher::new`](super::PasswordHasher::new).
    ///
    /// # Errors
    ///
    /// [`HashingOptionsError`] names the limit that is broken.
    pub fn validate(&self) -> Result<(), HashingOptionsError> {
        self.params()?;
        let strong = |(m, t)| self.memory_kib >= m && self.iterations >= t;
        if MINIMA.into_iter().any(strong) {
            Ok(())
        } else {
            Err(HashingOptionsError::Weak)
        }
    }

    pub(super) fn params(&self) -> Result<Params, HashingOptionsError> {
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return Err(HashingOptionsError::Concurrency);
        }
        if self.queue > MAX_QUEUE {
            return Err(HashingOptionsError::Queue);
        }
        argon2id::params(self.memory_kib, self.iterations, self.parallelism)
            .ok_or(HashingOptionsError::Parameters)
    }
}

/// What is wrong with [`HashingOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashingOptionsError {
    /// Less work than OWASP asks for at least.
    #[error(
        "passwords would be hashed too weakly: argon2id needs at least 19456 KiB with 2 iterations \
         (or 47104 with 1, 12288 with 3, 9216 with 4, 7168 with 5)"
    )]
    Weak,
    /// Parameters that Argon2 does not have, or so large that one hash takes seconds.
    #[error(
        "a password hash takes at most {} KiB, {} iterations and {} lanes, and at least 8 KiB a lane",
        argon2id::MAX_MEMORY_KIB,
        argon2id::MAX_ITERATIONS,
        argon2id::MAX_PARALLELISM
    )]
    Parameters,
    /// No hash at once, or more than there are threads for.
    #[error("1 to {MAX_CONCURRENCY} passwords are hashed at once")]
    Concurrency,
    /// A longer queue than anybody would wait in.
    #[error("at most {MAX_QUEUE} passwords wait to be hashed")]
    Queue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(HashingOptions::default().validate(), Ok(()));
    }

    #[test]
    fn owasps_minima_are_valid_and_anything_less_is_weak() {
        for (memory_kib, iterations) in MINIMA {
            let least = HashingOptions {
                memory_kib,
                iterations,
                ..HashingOptions::default()
            };
            assert_eq!(least.validate(), Ok(()), "{least:?}");
            for less in [
                HashingOptions {
                    memory_kib: memory_kib - 1,
                    ..least
                },
                HashingOptions {
                    iterations: iterations - 1,
                    ..least
                },
            ] {
                assert!(less.validate().is_err(), "{less:?}");
            }
        }
    }

    #[test]
    fn options_beyond_a_limit_are_refused() {
        let fine = HashingOptions::default();
        for (options, error) in [
            (
                HashingOptions {
                    memory_kib: 262_145,
                    ..fine
                },
                HashingOptionsError::Parameters,
            ),
            (
                HashingOptions {
                    iterations: 21,
                    ..fine
                },
                HashingOptionsError::Parameters,
            ),
            (
                HashingOptions {
                    parallelism: 17,
                    ..fine
                },
                HashingOptionsError::Parameters,
            ),
            (
                HashingOptions {
                    parallelism: 0,
                    ..fine
                },
                HashingOptionsError::Parameters,
            ),
            (
                HashingOptions {
                    concurrency: 0,
                    ..fine
                },
                HashingOptionsError::Concurrency,
            ),
            (
                HashingOptions {
                    concurrency: 257,
                    ..fine
                },
                HashingOptionsError::Concurrency,
            ),
            (
                HashingOptions {
                    queue: 10_001,
                    ..fine
                },
                HashingOptionsError::Queue,
            ),
        ] {
            assert_eq!(options.validate(), Err(error), "{options:?}");
            assert_eq!(options.params().unwrap_err(), error, "{options:?}");
        }
    }
}
