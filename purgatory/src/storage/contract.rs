//! Whether a storage keeps its promises.

mod breach;
mod bumps;
mod contention;
mod handle;
mod keeping;
mod names;
mod records;
mod watches;

use std::sync::Arc;

use self::handle::Bench;
use super::Storage;

pub use self::breach::{Breach, Promise};

/// Tells whether a storage keeps its promises: for the tests of a storage of your own.
///
/// It finds what shows from outside, in about two seconds: that a write is applied only over the version
/// that it names, though eight tasks write at the same time; that versions grow, bytes come back, names do
/// not meet and records are kept; that [`bump`](Storage::bump) and [`watch`](Storage::watch), where there
/// are any, do as [`Promise`] says. It cannot find what does not happen meanwhile: a server that forgets
/// what it has when it restarts, or when its replica takes over.
///
/// It may be run against a storage in use: it works on about two hundred circuits that nobody else has, whose
/// names begin with `purgatory contract`, and whose records expire after a minute.
///
/// It needs a tokio runtime with its timers, and what else the storage needs. On paused time a storage that
/// does not go by that time is not seen to let records expire.
///
/// # Errors
///
/// The first promise that is found broken.
///
/// # Example: the test of a storage
///
/// ```
/// use std::sync::Arc;
/// use purgatory::storage::{Breach, MemoryStorage, contract};
///
/// # #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Breach> {
///     contract(Arc::new(MemoryStorage::new())).await
/// }
/// ```
pub async fn contract(storage: Arc<dyn Storage>) -> Result<(), Breach> {
    contract_between(Arc::clone(&storage), storage).await
}

/// As [`contract`], for two processes: what is done through one handle has to be seen through the other.
///
/// Handles that have something of their own, such as a connection, are told apart by this alone: a storage
/// that answers from what it keeps in the process, or hears only of its own writes, passes [`contract`].
///
/// # Errors
///
/// As of [`contract`].
///
/// ```
/// use std::sync::Arc;
/// use purgatory::storage::{Breach, MemoryStorage, contract_between};
///
/// # #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Breach> {
///     let storage = MemoryStorage::new();
///     let other = storage.clone(); // a storage of files would be opened a second time
///     contract_between(Arc::new(storage), Arc::new(other)).await
/// }
/// ```
pub async fn contract_between(
    storage: Arc<dyn Storage>,
    other: Arc<dyn Storage>,
) -> Result<(), Breach> {
    let bench = Bench::new(storage, other);
    let at_once = async {
        bench.check_options()?;
        records::check(&bench).await?;
        names::check(&bench).await?;
        contention::check(&bench).await?;
        bumps::check(&bench).await?;
        watches::check(&bench).await
    };
    // What takes time takes it meanwhile.
    tokio::try_join!(at_once, keeping::check(&bench)).map(|((), ())| ())
}
