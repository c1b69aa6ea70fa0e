//! What a member is told when it is started.

use std::time::Duration;

use purgatory::storage::{Storage, StorageFuture, Stored, Swap, Watcher, Watching, Write};
use purgatory::{
    CircuitBreakerFactory, Config, Consistency, FactoryBuilder, RedisStorage, StorageOptions,
};

use super::number;

pub(super) struct Args {
    pub(super) circuit: String,
    pub(super) config: Config,
    storage: RedisStorage,
    options: Option<StorageOptions>,
    bumps: bool,
}

impl Args {
    pub(super) fn parse() -> Self {
        let mut args = std::env::args().skip(1);
        let (mut url, mut circuit, mut prefix) = (String::new(), String::new(), None);
        let (mut sentinel, mut cluster, mut strict, mut bumps) = (None, false, false, true);
        let mut config = Config::new();
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} wants a value"));
            let seconds = |text: String| Duration::from_secs_f64(number(&text));
            match &*arg {
                "--url" => url = value(),
                "--circuit" => circuit = value(),
                "--prefix" => prefix = Some(value()),
                "--threshold" => config = config.threshold(number(&value())),
                "--ttl" => config = config.ttl(seconds(value())),
                "--lease" => config = config.probe_lease(seconds(value())),
                "--probes" => config = config.half_open_probes(number(&value())),
                "--sentinel" => sentinel = Some(value()),
                "--cluster" => cluster = true,
                "--consistency" => strict = value() == "strict",
                "--no-bump" => bumps = false,
                "--stdin" => {}
                _ => panic!("what is {arg}?"),
            }
        }
        let mut urls = url.split(',').map(str::to_owned);
        let mut builder = RedisStorage::builder(urls.next().expect("there is a URL"));
        if let Some(prefix) = prefix {
            builder = builder.prefix(prefix);
        }
        let others: Vec<String> = urls.collect();
        if let Some(master) = sentinel {
            builder = builder.sentinel(master, others);
        } else if cluster {
            builder = builder.cluster(others);
        }
        let storage = builder.build().expect("the storage of a test is valid");
        let options = storage.options().consistency(Consistency::Strict);
        Self { circuit, config, storage, options: strict.then_some(options), bumps }
    }

    pub(super) fn builder(&self) -> FactoryBuilder {
        let builder = CircuitBreakerFactory::builder();
        let builder = if self.bumps {
            builder.storage(self.storage.clone())
        } else {
            builder.storage(Plain(self.storage.clone()))
        };
        match self.options {
            Some(options) => builder.storage_options(options),
            None => builder,
        }
    }
}

/// A storage that cannot add, as a custom one may be.
struct Plain(RedisStorage);

impl Storage for Plain {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.0.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        self.0.compare_and_set(write)
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        self.0.watch(watcher)
    }

    fn options(&self) -> StorageOptions {
        self.0.options()
    }
}
