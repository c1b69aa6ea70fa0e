//! In a build without storages: no circuit is shared, and no call waits.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use super::{Inner, LockedCircuit};
use crate::circuit::Ticket;
use crate::error::Rejected;

/// There is nothing to ask.
pub(super) enum Stage {
    First,
}

/// There is nothing to wait for.
pub(super) type Waiting = Infallible;

/// A call that waits, of which there is none.
#[derive(Debug)]
pub struct Pause<'a>(Infallible, PhantomData<&'a ()>);

/// There is nobody to tell.
pub(super) struct News;

impl News {
    pub(super) fn tell(self) {}
}

impl LockedCircuit {
    pub(super) fn news(_inner: &mut Inner) -> News {
        News
    }

    pub(super) fn pause(&self, waiting: Waiting) -> Pause<'_> {
        match waiting {}
    }

    pub(super) fn wait(&self, pause: Pause<'_>) -> Result<Ticket, Rejected> {
        match pause.0 {}
    }
}

impl Pause<'_> {
    pub(crate) fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Ticket, Rejected>> {
        match self.0 {}
    }
}
