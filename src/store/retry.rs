//! The one place that retries a transaction that lost against another.

use std::time::Duration;

use super::Error;

const ATTEMPTS: u32 = 3;

/// Runs `attempt`, a whole transaction from its BEGIN on, up to three times, as long as
/// it ends in [`Error::Conflict`]: the server has rolled it back, so nothing of it
/// happened. Between two attempts it waits some milliseconds, more each time, at random,
/// and says so by `retried`.
///
/// # Errors
///
/// The error of the last attempt.
pub(super) async fn retry_conflicts<T, F, Attempt>(
    mut attempt: F,
    retried: impl Fn(),
) -> Result<T, Error>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, Error>>,
{
    for attempted in 1..ATTEMPTS {
        match attempt().await {
            Err(Error::Conflict(_)) => {
                retried();
                let longest = 20_000 << attempted;
                let pause = Duration::from_micros(random() % longest);
                tokio::time::sleep(pause).await;
            }
            result => return result,
        }
    }
    attempt().await
}

/// A statement or a transaction: an async closure that takes a connection.
///
/// `AsyncFn` alone cannot say that its future is `Send`; this can.
pub trait Step<C, T>: Fn(C) -> <Self as Step<C, T>>::Attempt {
    /// One run of it.
    type Attempt: Future<Output = Result<T, Error>> + Send;
}

impl<S, C, T, Attempt> Step<C, T> for S
where
    S: Fn(C) -> Attempt,
    Attempt: Future<Output = Result<T, Error>> + Send,
{
    type Attempt = Attempt;
}

/// A number that spreads; without randomness from the system always the same.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Runs with `conflicts` attempts that conflict before one that succeeds.
    async fn run(conflicts: u32) -> (Result<u32, Error>, u32) {
        let (mut attempts, retries) = (0, Cell::new(0));
        let attempt = || {
            attempts += 1;
            let attempt = attempts;
            async move {
                if attempt <= conflicts {
                    Err(Error::Conflict("conflict".into()))
                } else {
                    Ok(attempt)
                }
            }
        };
        let result = retry_conflicts(attempt, || retries.set(retries.get() + 1)).await;
        assert_eq!(retries.get(), attempts - 1, "every further attempt is told");
        (result, attempts)
    }

    #[tokio::test]
    async fn two_conflicts_are_retried() {
        let (result, attempts) = run(2).await;
        assert_eq!(result.unwrap(), 3);
        assert_eq!(attempts, 3);
    }

    #[tokio::test]
    async fn a_third_conflict_is_the_answer() {
        let (result, attempts) = run(3).await;
        assert!(matches!(result, Err(Error::Conflict(_))));
        assert_eq!(attempts, 3);
    }

    #[tokio::test]
    async fn another_error_is_not_retried() {
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            async { Err(Error::Unavailable("gone".into())) }
        };
        let result: Result<(), _> = retry_conflicts(attempt, || ()).await;
        assert!(matches!(result, Err(Error::Unavailable(_))));
        assert_eq!(attempts, 1);
    }
}
