//! Waiting for what happens beside a test.

use std::time::Duration;

/// How long a test waits for what must happen, so that it fails instead of hanging; longer
/// than any machine stalls.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Waits for what must happen; where it never does, the test fails instead of hanging.
pub async fn patiently<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Waits until something holds that nobody tells of.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            pause().await;
        }
    };
    patiently(what, waiting).await;
}

/// Between two looks at what is waited for, which needs the processor more than they do.
pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}
