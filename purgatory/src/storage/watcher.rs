//! Who a storage tells of changes.

use std::fmt;
use std::sync::Arc;

use super::Versioned;

/// Who a storage tells of changes, see [`Storage::watch`](super::Storage::watch).
#[derive(Clone)]
pub struct Watcher(Arc<dyn Watch>);

/// Who a [`Watcher`] tells.
pub(crate) trait Watch: Send + Sync {
    fn ready(&self);
    fn changed(&self, circuit: &str, record: Versioned);
    fn unannounced(&self, cause: &str);
}

impl Watcher {
    pub(crate) fn new(watch: impl Watch + 'static) -> Self {
        Self(Arc::new(watch))
    }

    /// A watcher that calls `changed` with the circuit and its record, for tests of a storage, and `ready`.
    ///
    /// ```
    /// use purgatory::storage::Watcher;
    ///
    /// let watcher = Watcher::of(|| println!("ready"), |circuit, record| {
    ///     println!("{circuit} has version {}", record.version);
    /// });
    /// ```
    pub fn of(
        ready: impl Fn() + Send + Sync + 'static,
        changed: impl Fn(&str, Versioned) + Send + Sync + 'static,
    ) -> Self {
        Self::new(Closures { ready, changed })
    }

    /// From now on nothing is missed. Told again after [`unannounced`](Self::unannounced), when announcements
    /// arrive again.
    pub fn ready(&self) {
        self.0.ready();
    }

    /// A record was written. Telling it twice, or late, or of an own write, does no harm.
    pub fn changed(&self, circuit: &str, record: Versioned) {
        self.0.changed(circuit, record);
    }

    /// Something is in the way of announcements, such as missing rights: whoever watches had better ask
    /// every now and then as well, until the next [`ready`](Self::ready). The cause is for an event, once.
    pub fn unannounced(&self, cause: &str) {
        self.0.unannounced(cause);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

struct Closures<R, C> {
    ready: R,
    changed: C,
}

impl<R, C> Watch for Closures<R, C>
where
    R: Fn() + Send + Sync,
    C: Fn(&str, Versioned) + Send + Sync,
{
    fn ready(&self) {
        (self.ready)();
    }

    fn changed(&self, circuit: &str, record: Versioned) {
        (self.changed)(circuit, record);
    }

    fn unannounced(&self, _cause: &str) {}
}
