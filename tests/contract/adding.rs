//! Outcomes that are added, and what can be wrong with that.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use purgatory::storage::{Bump, StorageError, Stored};
use tokio::time;

use super::{Flaw, Flawed};

impl Flawed {
    pub(super) async fn add(&self, bump: &Bump<'_>) -> Result<Stored, StorageError> {
        self.begin().await?;
        let circuit = bump.circuit();
        let bumps = Arc::clone(&self.lock().bumps);
        let excluded = self.is(Flaw::BumpsExcludeNoWrites);
        let _alone = if excluded { Some(bumps.lock().await) } else { None };
        let before = self.read(&self.lock(), circuit);
        let stale = excluded || self.is(Flaw::BumpsAreNotAtomic);
        if stale || self.is(Flaw::BumpsForgetWhoInARace) {
            time::sleep(Duration::from_micros(50)).await;
        }
        let mut shared = self.lock();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.elapsed(&shared);
        let hour = Duration::from_secs(3600);
        let now = match self.flaw {
            Flaw::BumpsByOwnClock => now - hour,
            Flaw::BumpsByFastClock => now + hour,
            _ => now,
        };
        let mut there = self.read(&shared, circuit);
        if self.is(Flaw::BumpsForgetWhoInARace) && there != before {
            there.iter_mut().for_each(|there| forget_who(&mut there.bytes));
        }
        if stale {
            there = before;
        }
        let newer = there.as_ref().is_some_and(|there| there.bytes.starts_with(b"2 "));
        let garbage = there.as_ref().is_some_and(|there| there.bytes.starts_with(b"not"));
        let current = match self.flaw {
            Flaw::BumpsOverwriteNewer if newer => None,
            Flaw::BumpsRespectGarbage if garbage => return Ok(self.stored(&shared, there)),
            _ => there.as_ref(),
        };
        let Some(mut bumped) = bump.apply(current, now) else {
            return Ok(self.stored(&shared, there));
        };
        if self.is(Flaw::BumpsForgetWho) {
            forget_who(&mut bumped.bytes);
        }
        let expires_at = shared.records.get(&self.key(circuit)).map(|there| there.expires_at);
        let kept = match expires_at {
            Some(at) if self.is(Flaw::BumpsDoNotRenew) => at - self.elapsed(&shared),
            _ => bump.expires_in(),
        };
        let record = self.put(&mut shared, circuit, &bumped.bytes, kept);
        let answer = match self.flaw {
            Flaw::BumpsAnswerOldRecord => there,
            _ => Some(record.clone()),
        };
        let stored = self.stored(&shared, answer);
        drop(shared);
        if bumped.announce && !self.is(Flaw::BumpsAreNotAnnounced) {
            self.announce(circuit, &record);
        }
        Ok(stored)
    }
}

/// Takes who has written it from a record.
fn forget_who(record: &mut Vec<u8>) {
    let end = record.iter().rposition(|&byte| byte == b' ').unwrap();
    record.truncate(end);
    record.extend(b" -");
}
