//! A future that runs under a permit.

use std::borrow::Borrow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::breaker::CircuitBreaker;
use crate::permit::{Permit, Unsettled};

pin_project! {
    /// A future under a permit, which says at any time what it means if both are dropped.
    ///
    /// Dropped by a panic of its own poll it is a failure; dropped between two polls it is what the
    /// permit said before. A panic elsewhere in the task, which drops this future as well, is the
    /// second: it says nothing about this call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Guarded<'a, B: Borrow<CircuitBreaker>, F> {
        #[pin]
        body: F,
        permit: &'a mut Permit<B>,
    }
}

impl<'a, B: Borrow<CircuitBreaker>, F: Future> Guarded<'a, B, F> {
    #[inline(always)]
    pub(crate) fn new(permit: &'a mut Permit<B>, body: F) -> Self {
        Self { body, permit }
    }
}

impl<B: Borrow<CircuitBreaker>, F: Future> Future for Guarded<'_, B, F> {
    type Output = F::Output;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let between_polls = this.permit.unsettled(Unsettled::Failure);
        let poll = this.body.poll(cx);
        if poll.is_pending() {
            this.permit.unsettled(between_polls);
        }
        poll
    }
}
