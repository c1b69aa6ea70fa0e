//! A storage of your own: circuits that the processes of one machine share, in files.
//!
//! ```text
//! cargo run -p purgatory-examples --example storage
//! ```
//!
//! It starts itself again. The circuit trips there, and opens here. Then the contract is checked.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, process, sync::Arc};

use purgatory::storage::{StorageError, StorageFuture, Stored, Swap, Versioned, Write, contract};
use purgatory::{CircuitBreakerFactory, State, Storage, StorageOptions};
use tokio::{task::spawn_blocking, time::sleep};

/// A folder for each circuit, with a lock and a record: its version, until when it is kept, its bytes.
struct Files(PathBuf);

impl Files {
    /// In hexadecimal, as file systems confuse names that differ; in parts, as they want them short.
    fn folder(&self, circuit: &str) -> PathBuf {
        let parts = circuit.as_bytes().chunks(100);
        let names = parts.map(|part| part.iter().map(|byte| format!("{byte:02x}")).collect());
        self.0.join(names.collect::<Vec<String>>().join("/"))
    }
}

fn micros(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// The record, and the last version, which also an expired record has.
fn read(folder: &Path) -> io::Result<(Option<Versioned>, u64)> {
    let file = match fs::read(folder.join("record")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        file => file?,
    };
    let parts = file.split_first_chunk().and_then(|(v, rest)| Some((v, rest.split_first_chunk()?)));
    let Some((version, (end, bytes))) = parts else { return Ok((None, 0)) };
    let version = u64::from_le_bytes(*version);
    let is_there = micros(SystemTime::now()) < u64::from_le_bytes(*end);
    Ok((is_there.then(|| Versioned { version, bytes: bytes.to_vec() }), version))
}

fn swap(folder: &Path, expected: u64, bytes: Vec<u8>, expires_in: Duration) -> io::Result<Swap> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("lock"))?;
    // Until the file is closed, here or, if this process is killed, by the system.
    lock.lock()?;
    let (there, last) = read(folder)?;
    let now = SystemTime::now();
    if there.as_ref().map_or(0, |there| there.version) != expected {
        return Ok(Swap { applied: false, stored: Stored { record: there, now: Some(now) } });
    }
    // Folders may be deleted while no process runs: the time goes on.
    let version = micros(now).max(last + 1);
    let (head, end) = (version.to_le_bytes(), micros(now + expires_in).to_le_bytes());
    // Whoever reads, without the lock, sees one record or the other.
    fs::write(folder.join("new"), [&head, &end, bytes.as_slice()].concat())?;
    fs::rename(folder.join("new"), folder.join("record"))?;
    let record = Some(Versioned { version, bytes });
    Ok(Swap { applied: true, stored: Stored { record, now: Some(now) } })
}

/// On a thread that may wait, which that of the driver may not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let done = spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    done.map_err(|error| StorageError::Unavailable(error.to_string()))
}

impl Storage for Files {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        let folder = self.folder(circuit);
        let load = move || Ok(Stored { record: read(&folder)?.0, now: Some(SystemTime::now()) });
        Box::pin(blocking(load))
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        let (folder, bytes) = (self.folder(write.circuit), write.bytes.to_vec());
        Box::pin(blocking(move || swap(&folder, write.expected, bytes, write.expires_in)))
    }

    /// Nobody tells of changes, so it is asked often.
    fn options(&self) -> StorageOptions {
        StorageOptions::new().poll(Duration::from_millis(100))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let second = env::args_os().nth(1);
    let own = env::temp_dir().join(format!("purgatory-example-storage-{}", process::id()));
    let folder = second.clone().map_or(own, PathBuf::from);
    let factory = CircuitBreakerFactory::builder().storage(Files(folder.clone())).build()?;
    let payments = factory.get_breaker("payments")?;
    if second.is_some() {
        (0..5).try_for_each(|_| payments.acquire().map(|permit| permit.failure()))?;
        return Ok(factory.flush_async(Duration::from_secs(5)).await?);
    }
    process::Command::new(env::current_exe()?).arg(&folder).status()?;
    let began = Instant::now();
    while payments.state() != State::Open {
        assert!(began.elapsed() < Duration::from_secs(5), "the trip does not arrive");
        sleep(Duration::from_millis(10)).await;
    }
    println!("five calls have failed in another process: {} here", payments.state());
    contract(Arc::new(Files(folder.clone()))).await?;
    println!("the storage keeps its promises");
    // An open circuit would be written again where its record was lost.
    payments.reset();
    factory.flush_async(Duration::from_secs(5)).await?;
    Ok(fs::remove_dir_all(folder)?)
}
