//! Replicas come and go, and releases take over from each other, while clients go on.

mod previous;
mod restart;
mod upgrade;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::future::try_join_all;
use tokio::task::JoinHandle;

use crate::harness::eventually;

/// Work that is done again and again, by several at once, until it is told to stop.
struct Load {
    rounds: Arc<Vec<AtomicU64>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Lets each worker do its rounds; a panic of one is a panic of [`Load::end`].
    fn of<W: Worker>(workers: Vec<W>) -> Self {
        let rounds = Arc::new(
            workers
                .iter()
                .map(|_| AtomicU64::new(0))
                .collect::<Vec<_>>(),
        );
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = workers.into_iter().enumerate().map(|(index, mut worker)| {
            let (rounds, stop) = (Arc::clone(&rounds), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    worker.round().await;
                    rounds[index].fetch_add(1, Ordering::Relaxed);
                }
                worker.last().await;
            })
        });
        Self {
            tasks: tasks.collect(),
            rounds,
            stop,
        }
    }

    /// Waits until each worker has begun a round after this moment, and finished it.
    async fn go_on(&self) {
        let counts = || {
            self.rounds
                .iter()
                .map(|count| count.load(Ordering::Relaxed))
        };
        let before: Vec<u64> = counts().collect();
        eventually("each worker finishes two rounds", || {
            // The first of them may have begun before.
            let gone_on = counts().zip(&before).all(|(now, before)| now >= before + 2);
            gone_on || self.tasks.iter().any(JoinHandle::is_finished)
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        try_join_all(self.tasks).await.expect("no worker fails");
    }
}

trait Worker: Send + 'static {
    /// One round of its work.
    fn round(&mut self) -> impl Future<Output = ()> + Send;

    /// What it finds at the end.
    fn last(&mut self) -> impl Future<Output = ()> + Send;
}
