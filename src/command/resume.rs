//! Streams that break are opened again.

use std::time::Duration;

use tonic::{Code, Status};

use super::Failure;
use crate::client::answer;

/// How often in a row a stream is opened again that brings nothing.
const ATTEMPTS: u32 = 10;
/// How long to wait before the next attempt, where the server does not say.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a stream broke without having brought anything.
#[derive(Debug, Default)]
pub(super) struct Resume {
    failures: u32,
}

impl Resume {
    /// The stream has brought something.
    pub(super) fn goes_on(&mut self) {
        self.failures = 0;
    }

    /// What kept the stream from being opened, as what broke it; anything that another
    /// attempt does not help is the failure itself.
    pub(super) fn again(&self, failure: Failure) -> Result<Status, Failure> {
        match failure {
            Failure::Unreachable(text) if self.failures > 0 => Ok(Status::unavailable(text)),
            failure => Err(failure),
        }
    }

    /// Waits until the stream is to be opened again; the failure, where it is not to be.
    pub(super) async fn wait(&mut self, broken: Status) -> Result<(), Failure> {
        self.failures += 1;
        let passes = matches!(
            broken.code(),
            Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::Unknown
        );
        if !passes || self.failures > ATTEMPTS {
            return Err(broken.into());
        }
        let pause = answer::retry_delay(&broken).unwrap_or(PAUSE);
        tokio::time::sleep(pause.min(PAUSE * ATTEMPTS)).await;
        Ok(())
    }
}
