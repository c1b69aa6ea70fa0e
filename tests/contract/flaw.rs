//! What can be wrong with a storage.

/// What is wrong with a storage of the tests: the promise that it breaks is in `contract.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    // Not a flaw either.
    NothingExpires,
    // Of all operations.
    NoTimeouts,
    Hangs,
    Fails,
    TimeNowAndThen,
    TimeRunsBack,
    StuckWhenDropped,
    // Of reads.
    InventsRecords,
    ReadsAreOld,
    // Of writes.
    OverwritesStale,
    OverwritesAtFirst,
    OverwritesNewer,
    RefusesAll,
    RefusesInACrowd,
    ConflictWithoutRecord,
    ConflictWithOwnRecord,
    AnswersWithoutRecord,
    ReadsThenWrites,
    ReadsThenOverwrites,
    LocksOnlyItself,
    FirstVersionIsZero,
    SameBytesSameVersion,
    VersionsShrink,
    VersionsStartAgain,
    AbsentMatchesAny,
    CutsRecords,
    TrimsRecords,
    // Of names.
    LowerCase,
    CleansNames,
    TrimsNames,
    CutsNames,
    ComposesNames,
    // Of expiry.
    WholeSeconds,
    FirstExpiryStays,
    ExpiryWrapsAround,
    BumpsDoNotRenew,
    // Of additions.
    BumpsAreNotAtomic,
    BumpsExcludeNoWrites,
    BumpsForgetWho,
    BumpsForgetWhoInARace,
    BumpsOverwriteNewer,
    BumpsRespectGarbage,
    BumpsByOwnClock,
    BumpsByFastClock,
    BumpsAnswerOldRecord,
    BumpsAreNotAnnounced,
    // Of watches.
    NeverReady,
    ReadyTooEarly,
    EndsWatch,
    WatchesOnce,
    ForgetsOne,
    HearsOwnWritesOnly,
    AnnouncesInVain,
    AnnouncesFirst,
    AnnouncesAnotherVersion,
    AnnouncesInLowerCase,
    AnnouncesShortRecords,
    AnnouncesTooLate,
}
