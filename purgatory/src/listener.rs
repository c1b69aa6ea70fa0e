//! Those who are told, outside every lock.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use crate::event::Event;
use crate::sync::{self, AtomicU64, Ordering, RwLock};

/// Somebody who wants to know. Closures that take an `&Event` are listeners.
///
/// A circuit's events come one at a time, in the order in which they happened, on whichever thread
/// is using the circuit; events of different circuits may come at the same time. No lock is held
/// meanwhile: a listener may use the breaker and the factory, also to add and remove listeners.
///
/// What happens to a [shared](crate::FactoryBuilder::storage) circuit elsewhere, and what comes of its probes here, is
/// told on the driver's thread; with a `MemoryStorage`, on that of the factory that writes. While a listener keeps that, nothing
/// is sent or heard, and calls in tasks that wait for the storage go on waiting.
///
/// Of each circuit one call at most waits for the listener at any time, while the others go on. It delivers what they
/// cause as well, up to 1024 events; what is left then is delivered with the circuit's next event. So a
/// listener that takes time should hand over to a queue of its own, and one that causes an event of its
/// own for each that it is told has each of its callers wait for 1024.
///
/// A panic in a listener reaches neither the call nor the other listeners; it is counted, see
/// [`listener_panics`](crate::CircuitBreakerFactory::listener_panics). A listener that holds a factory
/// or a breaker keeps it alive until it is removed, as they hold the listener.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, Event, Listener};
///
/// struct Log;
///
/// impl Listener for Log {
///     fn on_event(&self, event: &Event) {
///         println!("{}: {}", event.circuit(), event.name());
///     }
/// }
///
/// let factory = CircuitBreakerFactory::new();
/// let id = factory.add_listener(Log);
/// assert!(factory.remove_listener(id));
/// ```
pub trait Listener: Send + Sync + 'static {
    /// Takes one event.
    fn on_event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Listener for F {
    fn on_event(&self, event: &Event) {
        self(event);
    }
}

/// The handle of a listener that was added; it removes that listener again.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, Event};
///
/// let factory = CircuitBreakerFactory::new();
/// let id = factory.add_listener(|event: &Event| println!("{event:?}"));
/// assert!(factory.remove_listener(id));
/// assert!(!factory.remove_listener(id));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(usize);

/// The listeners of a factory.
pub(crate) struct Listeners {
    list: RwLock<Arc<Vec<Arc<Entry>>>>,
    /// How many there are. Read before an event is made, so that without listeners there is none.
    count: AtomicU64,
    panics: AtomicU64,
}

struct Entry {
    id: ListenerId,
    removed: AtomicBool,
    listener: Box<dyn Listener>,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        Self {
            list: RwLock::new(Arc::default()),
            count: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn add(&self, listener: Box<dyn Listener>) -> ListenerId {
        // Of the process, so that an id of one factory means nothing to another.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = ListenerId(NEXT.fetch_add(1, Ordering::Relaxed));
        let entry = Arc::new(Entry { id, removed: AtomicBool::new(false), listener });
        let mut list = sync::write(&self.list);
        Arc::make_mut(&mut list).push(entry);
        self.count.store(list.len() as u64, Ordering::Relaxed);
        id
    }

    /// Whether the listener was there.
    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        // Bound here, so that it is dropped after the lock: a listener's `Drop` is somebody's code.
        let old;
        {
            let mut list = sync::write(&self.list);
            let Some(index) = list.iter().position(|entry| entry.id == id) else {
                return false;
            };
            list[index].removed.store(true, Ordering::Relaxed);
            let mut rest = list.to_vec();
            rest.remove(index);
            self.count.store(rest.len() as u64, Ordering::Relaxed);
            old = mem::replace(&mut *list, Arc::new(rest));
        }
        drop(old);
        true
    }

    /// Tells every listener, in the order in which they were added.
    pub(crate) fn notify(&self, event: &Event) {
        let list = Arc::clone(&sync::read(&self.list));
        for entry in list.iter() {
            if entry.removed.load(Ordering::Relaxed) {
                continue;
            }
            self.contain(|| entry.listener.on_event(event));
        }
        // A listener that was removed meanwhile is dropped with the list.
        self.contain(|| drop(list));
    }

    /// Keeps a panic from the call that is being served.
    fn contain(&self, listener: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(listener)) else { return };
        self.panics.fetch_add(1, Ordering::Relaxed);
        // Dropping what was thrown may panic in its turn, with a payload of its own.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.count.load(Ordering::Relaxed))
    }
}
