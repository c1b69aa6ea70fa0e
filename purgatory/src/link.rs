//! Between the circuits of a factory and its driver.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::process;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock::Timestamp;
use crate::name::Name;
use crate::offset::{Offset, OffsetClock};
use crate::random::Random;
use crate::storage::StorageOptions;
use crate::sync::{self, Mutex};

/// Between the circuits of a factory and its driver: circuits list themselves here when they have news,
/// and the driver finds them here when there is news for them.
#[derive(Debug)]
pub(crate) struct Link<C> {
    options: StorageOptions,
    lists: Mutex<Lists<C>>,
    offset: Mutex<OffsetClock>,
    /// The driver has something to do.
    news: Notify,
    /// Failures of circuits that went before those had arrived.
    lost: AtomicU64,
    seed: AtomicU64,
    /// The process that this was made in.
    born_in: u32,
    /// The process that the driver lives in, and how to start another: a fork has no threads.
    process: AtomicU32,
    restart: OnceLock<Restart>,
}

pub(crate) struct Restart(pub(crate) Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restart").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Lists<C> {
    /// Whether there is a driver to read them.
    attended: bool,
    /// Whether the factory is gone, after which there is no news.
    closed: bool,
    /// Those that a driver has to do with.
    known: HashMap<Name, Weak<C>>,
    /// Held strongly, so that what a circuit counted arrives though nobody else holds it any more.
    news: Vec<Arc<C>>,
    flushes: Vec<(Duration, Flush)>,
}

/// Somebody who waits until everything has arrived. Dropped, it has not.
#[derive(Debug)]
pub(crate) struct Flush(oneshot::Sender<()>);

impl Flush {
    /// Whether nobody waits any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.is_closed()
    }

    pub(crate) fn done(self) {
        // Who does not wait any more need not be told.
        let _ = self.0.send(());
    }
}

impl<C> Link<C> {
    pub(crate) fn new(options: StorageOptions, seed: u64) -> Self {
        Self {
            options,
            lists: Mutex::new(Lists {
                attended: true,
                closed: false,
                known: HashMap::new(),
                news: Vec::new(),
                flushes: Vec::new(),
            }),
            offset: Mutex::default(),
            news: Notify::new(),
            lost: AtomicU64::new(0),
            seed: AtomicU64::new(seed),
            born_in: process::id(),
            process: AtomicU32::new(process::id()),
            restart: OnceLock::new(),
        }
    }

    pub(crate) fn options(&self) -> StorageOptions {
        self.options
    }

    /// A number that no other circuit of this process has, nor, as good as certain, of any other.
    pub(crate) fn draw(&self) -> u64 {
        // The odd constant is that of Fibonacci hashing: all 2^64 values come before one comes again.
        let drawn = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        // A fork goes on from where its parent is, and so do its siblings.
        let here = process::id();
        let fork = if here == self.born_in { 0 } else { u64::from(here) << 32 };
        Random::new(drawn.wrapping_add(fork)).draw()
    }

    /// A new circuit. Given back, there is nobody to read of it.
    pub(crate) fn join(&self, name: Name, circuit: &Arc<C>) -> Option<Arc<C>> {
        self.revive();
        let mut lists = sync::lock(&self.lists);
        if lists.attended {
            lists.known.insert(name, Arc::downgrade(circuit));
        }
        drop(lists);
        self.list(Arc::clone(circuit))
    }

    /// The circuit has news, and was not on the list. Given back, there is nobody to read it.
    pub(crate) fn list(&self, circuit: Arc<C>) -> Option<Arc<C>> {
        self.revive();
        let mut lists = sync::lock(&self.lists);
        if !lists.attended {
            return Some(circuit);
        }
        lists.news.push(circuit);
        drop(lists);
        self.wake();
        None
    }

    pub(crate) fn take_news(&self) -> Vec<Arc<C>> {
        mem::take(&mut sync::lock(&self.lists).news)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<C>> {
        sync::lock(&self.lists).known.get(name)?.upgrade()
    }

    pub(crate) fn all(&self) -> Vec<Arc<C>> {
        let mut all: Vec<(Name, Arc<C>)> = {
            let mut lists = sync::lock(&self.lists);
            // Those that were removed.
            lists.known.retain(|_, circuit| circuit.strong_count() > 0);
            let known = lists.known.iter();
            known.filter_map(|(name, circuit)| Some((name.clone(), circuit.upgrade()?))).collect()
        };
        // In the same order in every run.
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all.into_iter().map(|(_, circuit)| circuit).collect()
    }

    /// The receiver hears when all that was counted up to now has arrived, or that it has not in time.
    pub(crate) fn flush(&self, timeout: Duration) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.revive();
        let mut lists = sync::lock(&self.lists);
        if lists.attended {
            lists.flushes.push((timeout, Flush(sender)));
        }
        drop(lists);
        self.wake();
        receiver
    }

    pub(crate) fn take_flushes(&self) -> Vec<(Duration, Flush)> {
        mem::take(&mut sync::lock(&self.lists).flushes)
    }

    /// There is a driver, again.
    pub(crate) fn attend(&self) {
        sync::lock(&self.lists).attended = true;
    }

    /// There is no driver any more, and nobody is to wait for it.
    pub(crate) fn abandon(&self) {
        let mut lists = sync::lock(&self.lists);
        lists.attended = false;
        let left = (mem::take(&mut lists.news), mem::take(&mut lists.flushes));
        drop(lists);
        // Without the lock: circuits may end with this.
        drop(left);
    }

    /// The factory is gone.
    pub(crate) fn close(&self) {
        sync::lock(&self.lists).closed = true;
        self.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        sync::lock(&self.lists).closed
    }

    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// A circuit goes, and so many failures with it that have not arrived.
    pub(crate) fn lose(&self, failures: u64) {
        self.lost.fetch_add(failures, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Wakes the driver.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// In a forked process, starts another driver, if that can be.
    fn revive(&self) {
        let here = process::id();
        if self.process.swap(here, Ordering::Relaxed) == here {
            return;
        }
        match self.restart.get() {
            Some(restart) => {
                // The parent's driver may have been waiting: it is first in line, and here it is dead.
                self.wake();
                (restart.0)();
            }
            None => self.abandon(),
        }
    }

    /// How to start another driver, should this process be forked.
    pub(crate) fn restart_by(&self, restart: Restart) {
        // It is set once, before anybody else has the link.
        let _ = self.restart.set(restart);
    }

    pub(crate) fn offset(&self) -> Offset {
        sync::lock(&self.offset).offset()
    }

    pub(crate) fn observe(&self, asked: Timestamp, answered: Timestamp, there: Timestamp) {
        sync::lock(&self.offset).observe(asked, answered, there);
    }

    /// Another connection may lead to another clock.
    pub(crate) fn forget_offset(&self) {
        *sync::lock(&self.offset) = OffsetClock::default();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn link() -> Link<()> {
        Link::new(StorageOptions::new(), 1)
    }

    #[test]
    fn the_driver_of_a_fork_is_woken_and_not_the_one_that_is_its_parents() {
        let (link, mut context) = (link(), Context::from_waker(Waker::noop()));
        let mut parked = pin!(link.news());
        assert!(parked.as_mut().poll(&mut context).is_pending());
        link.restart_by(Restart(Box::new(|| ())));
        link.process.store(0, Ordering::Relaxed);
        let _flush = link.flush(Duration::MAX);
        let new = pin!(link.news());
        assert!(new.poll(&mut context).is_ready());
    }

    #[test]
    fn names_are_not_gathered_for_a_driver_that_is_gone() {
        let link = link();
        link.abandon();
        let circuit = Arc::new(());
        assert!(link.join(Name::new("new").unwrap(), &circuit).is_some());
        assert_eq!(Arc::weak_count(&circuit), 0);
        // Until there is one again.
        link.attend();
        assert!(link.join(Name::new("new").unwrap(), &circuit).is_none());
    }

    #[test]
    fn names_of_circuits_that_are_gone_are_forgotten() {
        let link = link();
        let circuit = Arc::new(());
        link.join(Name::new("new").unwrap(), &circuit);
        drop((circuit, link.take_news()));
        assert!(link.all().is_empty());
        assert!(sync::lock(&link.lists).known.is_empty());
    }

    #[test]
    fn forks_draw_other_numbers_than_their_parent_and_each_other() {
        let (link, mut fork) = (link(), link());
        fork.born_in = 0;
        let (parent, child) = (link.draw(), fork.draw());
        assert_eq!(parent, Random::new(1).draw(), "the seed says what is drawn");
        assert_ne!(child, parent);
    }

    /// What is drawn from it is drawn from its upper bits.
    #[test]
    fn neighbours_among_seeds_draw_other_numbers() {
        let drawn = (1..=100).map(|seed| Link::<()>::new(StorageOptions::new(), seed).draw() >> 48);
        let different: std::collections::HashSet<_> = drawn.collect();
        assert!(different.len() > 90, "{different:?}");
    }

    #[test]
    fn nobody_waits_in_a_fork_that_cannot_have_a_driver() {
        let (link, mut context) = (link(), Context::from_waker(Waker::noop()));
        link.process.store(0, Ordering::Relaxed);
        let flush = pin!(link.flush(Duration::MAX));
        assert!(matches!(flush.poll(&mut context), Poll::Ready(Err(_))));
        assert!(link.join(Name::new("new").unwrap(), &Arc::new(())).is_some());
    }
}
