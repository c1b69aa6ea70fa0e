//! What is stored for a circuit, read as anybody could.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory::{Clock, SystemClock, Timestamp};
use redis::{Client, Connection, cmd};
use serde_json::{Map, Value, json};

pub(super) struct Store {
    client: Client,
    circuit: String,
    native: bool,
}

impl Store {
    pub(super) fn new(url: &str, circuit: &str, native: bool) -> Result<Self, Box<dyn Error>> {
        Ok(Self { client: Client::open(url)?, circuit: circuit.to_owned(), native })
    }

    pub(super) fn state(&self) -> Result<Value, Box<dyn Error>> {
        let (record, counter) = self.read(&mut self.connect()?)?;
        let Some(record) = record.filter(|record| !record.is_empty()) else {
            return Ok(json!({ "state": null }));
        };
        if self.native {
            return native(&record).ok_or_else(|| format!("not a record: {record}").into());
        }
        let record: Map<String, Value> = serde_json::from_str(&record)?;
        if let Some(missing) =
            ["name", "threshold", "ttl"].iter().find(|&&f| record.get(f).is_none())
        {
            return Err(format!("a record without {missing}").into());
        }
        let failures = match counter.as_deref().unwrap_or_default().trim() {
            "" => 0,
            counter => counter.parse::<i64>()?,
        };
        Ok(json!({
            "state": record.get("state"),
            "failure_count": failures,
            "opened_at": record.get("opened_at"),
            "threshold": record["threshold"],
            "ttl": record["ttl"],
        }))
    }

    pub(super) fn raw(&self) -> Result<Value, Box<dyn Error>> {
        let mut connection = self.connect()?;
        let (value, counter) = self.read(&mut connection)?;
        let pttl: i64 = cmd("PTTL").arg(self.key()).query(&mut connection)?;
        Ok(json!({ "key": self.key(), "value": value, "counter": counter, "pttl": pttl }))
    }

    fn connect(&self) -> Result<Connection, Box<dyn Error>> {
        Ok(self.client.get_connection_with_timeout(Duration::from_secs(1))?)
    }

    /// The record, and where it has one of its own the counter.
    fn read(
        &self,
        connection: &mut Connection,
    ) -> Result<(Option<String>, Option<String>), Box<dyn Error>> {
        let key = self.key();
        let record = cmd("GET").arg(&key).query(connection)?;
        if self.native {
            return Ok((record, None));
        }
        Ok((record, cmd("GET").arg(format!("{key}::failure_count")).query(connection)?))
    }

    fn key(&self) -> String {
        if !self.native {
            return format!("cbr::{}", self.circuit);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        let encode = |byte: u8| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        format!("cb:{{{}}}", self.circuit.bytes().map(encode).collect::<String>())
    }
}

/// A record of this crate: version, format, state, generation, since, open for, failures, settings, ..
fn native(record: &str) -> Option<Value> {
    let fields: Vec<&str> = record.split(' ').collect();
    let [_, _, state, _, since, _, failures, settings, ..] = fields[..] else { return None };
    let mut settings = settings.split(':');
    let threshold: u32 = settings.next()?.parse().ok()?;
    let seconds = |micros: &str| Some(micros.parse::<f64>().ok()? / 1e6);
    let (word, opened_at) = match state {
        "C" => ("closed", None),
        "O" => ("opened", seconds(since)),
        _ => ("half-opened", None),
    };
    Some(json!({
        "state": word,
        "failure_count": failures.parse::<u32>().ok()?,
        "opened_at": opened_at,
        "threshold": threshold,
        "ttl": seconds(settings.next()?)?,
    }))
}

/// A time of the factory's clock in seconds since 1970.
pub(super) fn time_of_day(at: Timestamp) -> f64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.saturating_sub(SystemClock.now().since(at)).as_secs_f64()
}
