//! Name to circuit.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::locked::LockedCircuit;
use crate::name::Name;
use crate::sync::{self, RwLock};

/// The circuits of a factory by name, in shards, so that looking one up waits only for a
/// registration in the same shard.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: [RwLock<HashSet<Entry>>; SHARDS],
}

const SHARDS: usize = 16;

/// A circuit that compares and hashes as its name.
#[derive(Debug)]
struct Entry(Arc<LockedCircuit>);

/// Why a circuit was not removed.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, RemoveError};
///
/// let factory = CircuitBreakerFactory::new();
/// assert_eq!(factory.remove("payments"), Err(RemoveError::Unknown));
/// let breaker = factory.get_breaker("payments")?;
/// assert_eq!(factory.remove("payments"), Err(RemoveError::InUse));
/// drop(breaker);
/// assert_eq!(factory.remove("payments"), Ok(()));
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// No circuit of that name is registered.
    #[error("no circuit of that name is registered")]
    Unknown,
    /// Somebody holds a breaker or a permit of the circuit, or the driver has something to send for it, or is just
    /// looking at it. Were it removed, the next one to ask for the name would get a second circuit, and both would
    /// count.
    #[error("the circuit is in use")]
    InUse,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::new(HashSet::new())) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<LockedCircuit>> {
        sync::read(self.shard(name)).get(name).map(|entry| Arc::clone(&entry.0))
    }

    /// Adds a circuit; if its name was taken meanwhile, `Err` is the one that has it.
    pub(crate) fn add(&self, circuit: Arc<LockedCircuit>) -> Result<(), Arc<LockedCircuit>> {
        let mut shard = sync::write(self.shard(circuit.name()));
        match shard.get(&**circuit.name()) {
            Some(entry) => Err(Arc::clone(&entry.0)),
            None => {
                shard.insert(Entry(circuit));
                Ok(())
            }
        }
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), RemoveError> {
        let mut shard = sync::write(self.shard(name));
        let entry = shard.get(name).ok_or(RemoveError::Unknown)?;
        // Callers get a circuit under the lock of the shard, which is held here; so if nobody has it now, nobody
        // can, but for a driver, which has no calls to count.
        if Arc::strong_count(&entry.0) > 1 {
            return Err(RemoveError::InUse);
        }
        let gone = shard.take(name);
        drop(shard);
        drop(gone);
        Ok(())
    }

    /// All circuits, by name.
    pub(crate) fn all(&self) -> Vec<Arc<LockedCircuit>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(sync::read(shard).iter().map(|entry| Arc::clone(&entry.0)));
        }
        all.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// A rough spread is enough here, and faster than the hash of the sets: names that share a shard
    /// share a lock, no more.
    fn shard(&self, name: &str) -> &RwLock<HashSet<Entry>> {
        // The multiplier is that of Fibonacci hashing (Knuth, TAOCP 6.4): it mixes upwards.
        let mix =
            |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let mut words = name.as_bytes().chunks_exact(8);
        let hash = words.by_ref().map(word).fold(0, mix);
        let hash = mix(hash, word(words.remainder()));
        &self.shards[(hash >> 60) as usize % SHARDS]
    }
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Name::hash(self.0.name(), state);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_same_shape_are_spread_over_the_shards() {
        let registry = Registry::new();
        let shapes: [fn(usize) -> String; 3] = [
            |id| format!("shard-{id:03}.internal.example.com"),
            |id| format!("https://h{id}.example.com:8080/v1"),
            |id| format!("{id}"),
        ];
        for name in shapes {
            let mut names = [0; SHARDS];
            for id in 0..1600 {
                let shard = registry.shard(&name(id));
                names[registry.shards.iter().position(|it| std::ptr::eq(it, shard)).unwrap()] += 1;
            }
            assert!(names.iter().all(|names| (50..=200).contains(names)), "{names:?}");
        }
    }
}
