//! The script that adds outcomes does what the library does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Value;

use super::super::native::NOT_PLAIN;
use super::super::scripts::{Answer, versioned};
use super::super::{keys::Keys, native::Native};
use super::random::Random;
use super::records::LAST;
use super::server::Server;
use super::watched::{Watched, patient, run};
use crate::bump::rewrite;
use crate::bump::store_time;
use crate::circuit::{Circuit, Phase};
use crate::record::{Read, Record};
use crate::storage::{Bump, Bumped, Storage, Versioned};
use crate::update::Update;

/// In all. A batch is what is under way at a time.
const CASES: usize = 80_000;
const BATCH: usize = 2_000;

struct Case {
    circuit: String,
    found: Option<Vec<u8>>,
    /// Whether it is as the library writes it.
    plain: bool,
    update: Update,
}

fn seed() -> u64 {
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = match std::env::var("PURGATORY_SEED") {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => fresh(),
    };
    println!("PURGATORY_SEED={seed}");
    seed
}

fn case(random: &mut Random, number: usize) -> Case {
    let circuit = format!("c{number}");
    let record = random.percent(90).then(|| random.record());
    let update = random.update(record.as_ref());
    let Some(record) = record else {
        let plain = is_plain(&update.own);
        return Case { circuit, found: None, plain, update };
    };
    let line = record.encode();
    let spoilt = random.spoilt(line.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let found = random.versioned(&spoilt, now);
    let Versioned { version, bytes } = versioned(&found);
    let plain = is_plain(&record.circuit) && bytes == line.as_bytes() && version < LAST;
    Case { circuit, found: Some(found), plain, update }
}

/// Whether it is closed, with a generation that the script knows.
fn is_plain(circuit: &Circuit) -> bool {
    matches!(circuit.phase(), Phase::Closed { .. }) && circuit.generation() < 1_000_000_000_000_000
}

#[test]
fn the_script_does_what_the_library_does() {
    let server = Server::start();
    let native = Native::new(Keys::new("cb", None, 0));
    let mut random = Random(seed());
    let mut connection = server.connection().unwrap();
    native
        .bump(&Bump::new("x", Duration::ZERO, &random.update(None)))
        .unwrap()
        .script
        .load(&mut connection)
        .unwrap();
    let (mut plain, mut seen) = (0, [0; 4]);
    for batch in 0..CASES / BATCH {
        let cases: Vec<_> = (0..BATCH).map(|i| case(&mut random, batch * BATCH + i)).collect();
        let mut pipe = redis::pipe();
        for Case { circuit, found, update, .. } in &cases {
            let expires_in = Duration::from_secs(60);
            let call = native.bump(&Bump::new(circuit, expires_in, update)).unwrap();
            if let Some(found) = found {
                pipe.cmd("SET").arg(&call.key).arg(found).ignore();
            }
            pipe.cmd("EVALSHA").arg(call.script.get_hash()).arg(1).arg(&call.key);
            for argument in &call.arguments {
                pipe.arg(argument);
            }
            pipe.cmd("GET").arg(&call.key);
        }
        let answers: Vec<Value> = pipe.query(&mut connection).unwrap();
        for (case, answer) in cases.iter().zip(answers.chunks(2)) {
            let Answer { stored, outcome, .. } = Answer::of(answer[0].clone()).unwrap();
            let read = match &answer[1] {
                Value::Nil => None,
                Value::BulkString(value) => Some(versioned(value)),
                other => panic!("{other:?}"),
            };
            assert_eq!(stored.record, read);
            let found = case.found.as_deref().map(versioned);
            seen[(outcome + 1) as usize] += 1;
            plain += usize::from(case.plain);
            if outcome == NOT_PLAIN {
                assert!(!case.plain, "{}", shown(case));
                assert_eq!(read, found, "{}", shown(case));
                continue;
            }
            let now = stored.now.unwrap();
            let expected = rewrite(&case.update, found.as_ref(), store_time(now));
            let became = (outcome > 0).then(|| Bumped {
                bytes: stored.record.clone().unwrap().bytes,
                announce: outcome == 2,
            });
            assert_eq!(text(&became), text(&expected), "{}", shown(case));
            let now = now.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
            let before = found.as_ref().map_or(0, |found| found.version);
            let version = if outcome > 0 { now.max(before + 1) } else { before };
            assert_eq!(read.map_or(0, |record| record.version), version, "{}", shown(case));
        }
        let _: () = server.ask("FLUSHALL");
    }
    println!("{plain} of {CASES} plain; not plain, unchanged, written, announced: {seen:?}");
    assert!(plain > 40_000, "only {plain} plain");
    assert!(seen.iter().all(|&seen| seen > CASES / 20), "{seen:?}");
}

/// With what the script leaves to the library.
#[test]
fn a_bump_does_what_the_library_does() {
    let server = Server::start();
    let mut random = Random(seed());
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        for number in 0..1_000 {
            let case = case(&mut random, number);
            if let Some(found) = &case.found {
                let mut connection = server.connection().unwrap();
                let key = format!("cb:{{{}}}", case.circuit);
                redis::cmd("SET").arg(key).arg(found).exec(&mut connection).unwrap();
            }
            let bump = Bump::new(&case.circuit, Duration::from_secs(60), &case.update);
            let stored = storage.storage.bump(&bump).unwrap().await.unwrap();
            let found = case.found.as_deref().map(versioned);
            let record = stored.record.clone();
            // If it opened: at the time of the first answer.
            let now = match record.as_ref().map(|record| Record::decode(&record.bytes)) {
                Some(Read::Known(record)) => record.circuit.since(),
                _ => store_time(stored.now.unwrap()),
            };
            let expected = match rewrite(&case.update, found.as_ref(), now) {
                Some(bumped) => Some(bumped.bytes),
                None => found.map(|found: Versioned| found.bytes),
            };
            let became = record.map(|record| record.bytes);
            assert!(became == expected, "became {became:?}, not {expected:?}: {}", shown(&case));
            assert_eq!(storage.load(&case.circuit).await.unwrap().record, stored.record);
        }
    });
}

fn text(bumped: &Option<Bumped>) -> Option<(String, bool)> {
    let text = |bumped: &Bumped| (String::from_utf8_lossy(&bumped.bytes).into(), bumped.announce);
    bumped.as_ref().map(text)
}

fn shown(Case { circuit, found, plain, update }: &Case) -> String {
    let found = found.as_deref().map(String::from_utf8_lossy);
    format!("{circuit}, plain: {plain}, found {found:?}, {update:#?}")
}
