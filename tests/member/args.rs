//! What a member is told when it is started.

use std::sync::Arc;
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, Config, Consistency, FactoryBuilder, RedisStorage};

use super::counted::{Counted, Counts};
use super::number;

pub(super) struct Args {
    pub(super) circuit: String,
    pub(super) config: Config,
    pub(super) counts: Arc<Counts>,
    storage: RedisStorage,
    bumps: bool,
}

impl Args {
    pub(super) fn parse() -> Self {
        let mut args = std::env::args().skip(1);
        let (mut url, mut circuit, mut prefix) = (String::new(), String::new(), None);
        let (mut sentinel, mut cluster, mut strict, mut bumps) = (None, false, false, true);
        let (mut max_backoff, mut poll, mut patience) = (None, None, None);
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
                "--max-backoff" => max_backoff = Some(seconds(value())),
                "--poll" => poll = Some(seconds(value())),
                "--patience" => patience = Some(seconds(value())),
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
        if strict {
            builder = builder.consistency(Consistency::Strict);
        }
        if let Some(max_backoff) = max_backoff {
            builder = builder.max_backoff(max_backoff);
        }
        if let Some(poll) = poll {
            builder = builder.poll(poll);
        }
        if let Some(patience) = patience {
            builder = builder.operation_timeout(patience).probe_wait(patience);
        }
        let storage = builder.build().expect("the storage of a test is valid");
        Self { circuit, config, counts: Arc::default(), storage, bumps }
    }

    pub(super) fn builder(&self) -> FactoryBuilder {
        let storage = Counted::new(self.storage.clone(), self.bumps, &self.counts);
        CircuitBreakerFactory::builder().storage(storage)
    }
}
