//! The bound on concurrent hashing, and the memory that hashes work in.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use argon2::Block;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use tracing::Instrument;

use super::HashError;
use crate::{metrics::HashingMetrics, spans};

/// Lets a fixed number of hashes run at once and a fixed number wait.
#[derive(Debug)]
pub(super) struct Pool {
    /// A permit for each that runs or waits.
    admission: Arc<Semaphore>,
    /// A permit for each that runs.
    running: Arc<Semaphore>,
    memory: Arc<WorkingMemory>,
    concurrency: usize,
    places: usize,
    metrics: HashingMetrics,
}

impl Pool {
    /// `blocks` is the memory that most hashes need, in KiB.
    pub(super) fn new(concurrency: usize, queue: usize, blocks: usize) -> Self {
        Self {
            admission: Arc::new(Semaphore::new(concurrency + queue)),
            running: Arc::new(Semaphore::new(concurrency)),
            memory: Arc::new(WorkingMemory::new(blocks)),
            concurrency,
            places: concurrency + queue,
            metrics: HashingMetrics::default(),
        }
    }

    pub(super) fn measured(self, metrics: HashingMetrics) -> Self {
        Self { metrics, ..self }
    }

    /// Takes down how many run and wait at this moment.
    pub(super) fn sample(&self) {
        let taken = self.places - self.admission.available_permits();
        let running = self.concurrency - self.running.available_permits();
        let waiting = taken.saturating_sub(running);
        self.metrics.set_queue(running, waiting, self.places);
    }

    /// Takes a place, among those that run or wait.
    ///
    /// # Errors
    ///
    /// [`HashError::Busy`] at once when none is free.
    pub(super) fn admit(&self) -> Result<Admission, HashError> {
        let admitted = Arc::clone(&self.admission).try_acquire_owned();
        admitted.map(Admission).map_err(|_| {
            self.metrics.refused();
            HashError::Busy
        })
    }

    /// Takes a place and runs `work` in it.
    ///
    /// # Errors
    ///
    /// Those of [`Pool::admit`] and [`Pool::run_admitted`].
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WorkingMemory) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        self.run_admitted(self.admit()?, work).await
    }

    /// Runs `work` on a blocking thread when its turn comes.
    ///
    /// A caller that gives up while waiting leaves the queue, and its work is never done.
    /// Work that has begun is finished, and counts until it is.
    ///
    /// # Errors
    ///
    /// [`HashError::Stopped`] when the runtime shuts down or `work` panics.
    pub(super) async fn run_admitted<T: Send + 'static>(
        &self,
        admitted: Admission,
        work: impl FnOnce(&WorkingMemory) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let hashing = async {
            let running = Arc::clone(&self.running).acquire_owned().await;
            let running = running.map_err(|_| HashError::Stopped)?;

            let memory = Arc::clone(&self.memory);
            let metrics = self.metrics.clone();
            let task = spawn_blocking(move || {
                let _held = (admitted, running);
                let started = Instant::now();
                let done = work(&memory);
                metrics.hashed(started.elapsed());
                done
            });
            task.await.map_err(|_| HashError::Stopped)
        };
        let span = tracing::info_span!(target: spans::TARGET, "hash password");
        hashing.instrument(span).await
    }
}

/// A place in the pool, given back when it is dropped or its work has ended.
#[derive(Debug)]
pub struct Admission(#[expect(dead_code, reason = "holding it is its use")] OwnedSemaphorePermit);

/// Memory kept between hashes: faulting it in anew can cost a third as much as the hash.
///
/// There are never more buffers than hashes that ran at once. A buffer keeps what the
/// last hash left in it, and is never read before it is overwritten. One hash at a time takes
/// more than a buffer, so that what all take together has a bound.
pub(super) struct WorkingMemory {
    blocks: usize,
    spare: Mutex<Vec<Vec<Block>>>,
    large: Mutex<()>,
}

impl WorkingMemory {
    pub(super) fn new(blocks: usize) -> Self {
        Self {
            blocks,
            spare: Mutex::default(),
            large: Mutex::default(),
        }
    }

    /// Lends `blocks` blocks to `work`.
    ///
    /// # Errors
    ///
    /// [`HashError::Memory`] when the system has none.
    pub(super) fn lend<T>(
        &self,
        blocks: usize,
        work: impl FnOnce(&mut [Block]) -> T,
    ) -> Result<T, HashError> {
        if blocks > self.blocks {
            // A hash from times of larger parameters: its memory is not worth keeping.
            return self.in_turn(blocks, || Ok(work(&mut allocate(blocks)?)));
        }
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut buffer = spare.map_or_else(|| allocate(self.blocks), Ok)?;
        let done = work(&mut buffer[..blocks]);
        self.spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(buffer);
        Ok(done)
    }

    /// Does work that takes `blocks` blocks of its own: when no other does, where that is more
    /// than a buffer has.
    pub(super) fn in_turn<T>(&self, blocks: usize, work: impl FnOnce() -> T) -> T {
        let large = || self.large.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = (blocks > self.blocks).then(large);
        work()
    }
}

impl std::fmt::Debug for WorkingMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.blocks * mem::size_of::<Block>();
        write!(f, "WorkingMemory({bytes} bytes each)")
    }
}

fn allocate(blocks: usize) -> Result<Vec<Block>, HashError> {
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(blocks)
        .map_err(|_| HashError::Memory)?;
    memory.resize(blocks, Block::new());
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use futures_util::FutureExt;

    use super::*;

    /// Occupies a thread of the pool until told to go on.
    async fn occupy(pool: &Arc<Pool>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
        let (go, wait) = mpsc::channel();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let pool = Arc::clone(pool);
        let task = tokio::spawn(async move {
            let work = move |_: &_| {
                started.send(()).unwrap();
                wait.recv().unwrap();
            };
            pool.run(work).await.unwrap();
        });
        has_started.await.unwrap();
        (go, task)
    }

    #[tokio::test]
    async fn one_more_than_run_and_wait_is_refused_at_once() {
        let pool = Arc::new(Pool::new(1, 2, 8));
        let (go, running) = occupy(&pool).await;
        let mut first = Box::pin(pool.run(|_| 1));
        let mut second = Box::pin(pool.run(|_| 2));
        assert_eq!((&mut first).now_or_never(), None);
        assert_eq!((&mut second).now_or_never(), None);

        assert_eq!(pool.run(|_| 3).now_or_never(), Some(Err(HashError::Busy)));

        go.send(()).unwrap();
        running.await.unwrap();
        assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_frees_its_place_and_its_work_is_not_done() {
        let pool = Arc::new(Pool::new(1, 1, 8));
        let (go, running) = occupy(&pool).await;
        let done = Arc::new(AtomicUsize::new(0));
        let counting = || {
            let done = Arc::clone(&done);
            move |_: &WorkingMemory| done.fetch_add(1, Ordering::SeqCst)
        };
        let mut gone = Box::pin(pool.run(counting()));
        assert_eq!((&mut gone).now_or_never(), None);
        drop(gone);

        let mut next = Box::pin(pool.run(counting()));
        assert_eq!((&mut next).now_or_never(), None, "its place is free");

        go.send(()).unwrap();
        running.await.unwrap();
        next.await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_whose_caller_is_gone_counts_until_it_ends() {
        let pool = Arc::new(Pool::new(1, 0, 8));
        let (go, running) = occupy(&pool).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());

        assert_eq!(pool.run(|_| ()).now_or_never(), Some(Err(HashError::Busy)));

        go.send(()).unwrap();
        let free = pool.admission.acquire().await.unwrap();
        drop(free);
        assert_eq!(pool.run(|_| ()).await, Ok(()));
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_place_back() {
        let pool = Pool::new(1, 0, 8);
        let panics = |_: &_| panic!("as a bug would");
        assert_eq!(pool.run(panics).await, Err(HashError::Stopped));
        assert_eq!(pool.run(|_| ()).await, Ok(()));
    }

    #[test]
    fn memory_is_reused_and_never_more_than_was_used_at_once() {
        let memory = WorkingMemory::new(8);
        let first = memory.lend(8, |blocks| blocks.as_ptr() as usize).unwrap();
        let second = memory.lend(4, |blocks| blocks.as_ptr() as usize).unwrap();
        assert_eq!(first, second);

        let nested = memory.lend(8, |_| memory.lend(8, |blocks| blocks.len()));
        assert_eq!(nested, Ok(Ok(8)));
        assert_eq!(memory.spare.lock().unwrap().len(), 2);
    }

    #[test]
    fn memory_beyond_the_usual_is_lent_and_not_kept() {
        let memory = WorkingMemory::new(8);
        assert_eq!(memory.lend(64, |blocks| blocks.len()), Ok(64));
        assert!(memory.spare.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_beyond_the_usual_is_taken_by_one_at_a_time_and_holds_up_no_other() {
        let memory = WorkingMemory::new(8);
        let is_taken = || memory.large.try_lock().is_err();
        assert_eq!(memory.lend(9, |_| is_taken()), Ok(true));
        assert!(memory.in_turn(9, is_taken));
        assert!(!memory.in_turn(8, is_taken));
        assert_eq!(memory.lend(8, |_| is_taken()), Ok(false));
        let beside = memory.in_turn(9, || memory.lend(8, |blocks| blocks.len()));
        assert_eq!(beside, Ok(8));
    }

    #[test]
    fn memory_that_does_not_exist_is_an_error() {
        let memory = WorkingMemory::new(8);
        assert_eq!(
            memory.lend(usize::MAX / 1024, |_| ()),
            Err(HashError::Memory)
        );
    }
}
