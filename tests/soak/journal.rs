//! What happened, for those who have to find out why.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use purgatory::Event;

/// How many events are kept.
const EVENTS: usize = 200;

/// So many complaints are enough.
const MANY: usize = 20;

/// For how long it can be that nothing happens, also in a pause.
const STILL: Duration = Duration::from_secs(120);

/// What happened, for those who have to find out why.
pub(crate) struct Journal {
    seed: u64,
    began: Instant,
    told: AtomicU64,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    faults: Vec<(Duration, String)>,
    kinds: BTreeMap<&'static str, u64>,
    events: VecDeque<(Duration, usize, Event)>,
    complaints: Vec<(Duration, String)>,
}

impl Journal {
    pub(crate) fn new(seed: u64) -> Self {
        let (began, told) = (Instant::now(), AtomicU64::new(0));
        Self { seed, began, told, lists: Mutex::default() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault, of that kind.
    pub(crate) fn fault(&self, kind: &'static str, text: String) {
        let at = self.began.elapsed();
        let mut lists = self.lists();
        *lists.kinds.entry(kind).or_default() += 1;
        lists.faults.push((at, text));
    }

    pub(crate) fn event(&self, instance: usize, event: &Event) {
        self.told.fetch_add(1, Ordering::Relaxed);
        let at = self.began.elapsed();
        let mut lists = self.lists();
        if lists.events.len() == EVENTS {
            lists.events.pop_front();
        }
        lists.events.push_back((at, instance, event.clone()));
    }

    /// Something is not as it should be. A panic in a listener would be lost.
    pub(crate) fn complain(&self, text: String) {
        let at = self.began.elapsed();
        let mut lists = self.lists();
        if lists.complaints.len() < MANY {
            lists.complaints.push((at, text));
        }
    }

    /// How many events there were.
    pub(crate) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// How often each kind of fault was.
    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, u64> {
        self.lists().kinds.clone()
    }

    /// Ends the test, if there were complaints.
    #[track_caller]
    pub(crate) fn check(&self) {
        if self.lists().complaints.is_empty() {
            return;
        }
        panic!("see the complaints");
    }

    /// Ends the test with this complaint.
    #[track_caller]
    pub(crate) fn fail(&self, text: String) -> ! {
        self.complain(text);
        panic!("see the last complaint");
    }

    /// Does something, and complains at once if it panics: what else is wrong may come of that.
    pub(crate) fn hear(&self, who: &str, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            self.complain(format!("{who} has panicked: {}", text.unwrap_or("see above")));
        }
    }

    fn tell(&self) -> String {
        let lists = self.lists();
        let mut text = format!("seed {}\nfaults:\n", self.seed);
        for (at, fault) in &lists.faults {
            let _ = writeln!(text, "{at:>12.3?} {fault}");
        }
        let _ = writeln!(text, "the last events:");
        for (at, instance, event) in &lists.events {
            let _ = writeln!(text, "{at:>12.3?} {instance} {event}");
        }
        let _ = writeln!(text, "complaints:");
        for (at, complaint) in &lists.complaints {
            let _ = writeln!(text, "{at:>12.3?} {complaint}");
        }
        let _ = write!(text, "seed {}", self.seed);
        text
    }
}

/// Prints what happened if the test panics, and ends it if nothing happens any more.
pub(crate) struct Witness {
    journal: Arc<Journal>,
    watch: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Witness {
    pub(crate) fn new(journal: &Arc<Journal>) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let watched = Arc::clone(journal);
        let watch = move || {
            let mut told = 0;
            while ended.recv_timeout(STILL) == Err(mpsc::RecvTimeoutError::Timeout) {
                if told == watched.told() {
                    eprintln!("{}\nnothing has happened for {STILL:?}", watched.tell());
                    process::exit(1);
                }
                told = watched.told();
            }
        };
        Self { journal: Arc::clone(journal), watch: Some((end, thread::spawn(watch))) }
    }

    /// From now on nothing has to happen.
    pub(crate) fn rest(&mut self) {
        if let Some((end, watch)) = self.watch.take() {
            drop(end);
            let _ = watch.join();
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.journal.tell());
        }
        self.rest();
    }
}
