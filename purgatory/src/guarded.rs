//! A future that runs under a permit.

use std::borrow::Borrow;
use std::future::Future;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::breaker::CircuitBreaker;
use crate::error::Rejected;
use crate::locked::Pause;
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

pin_project! {
    /// A [`Guarded`] future whose permit may have to be waited for.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Admitted<'a, 'b, F> {
        // Boxed, so that the future of every guarded call does not grow for what is rare.
        pause: Option<Box<Pause<'b>>>,
        #[pin]
        guarded: Guarded<'a, &'b CircuitBreaker, F>,
    }
}

impl<'a, 'b, F: Future> Admitted<'a, 'b, F> {
    #[inline(always)]
    pub(crate) fn new(
        pause: Option<Box<Pause<'b>>>,
        guarded: Guarded<'a, &'b CircuitBreaker, F>,
    ) -> Self {
        Self { pause, guarded }
    }
}

impl<F: Future> Future for Admitted<'_, '_, F> {
    type Output = Result<F::Output, Rejected>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(pause) = this.pause {
            let ticket = ready!(pause.poll(cx));
            *this.pause = None;
            match ticket {
                Ok(ticket) => this.guarded.as_mut().project().permit.give(ticket),
                Err(rejected) => return Poll::Ready(Err(rejected)),
            }
        }
        this.guarded.poll(cx).map(Ok)
    }
}

// A permit that is left in the middle of a panic is settled by it, and its circuit is never half changed.
impl<B: Borrow<CircuitBreaker>, F: UnwindSafe> UnwindSafe for Guarded<'_, B, F> {}
impl<F: UnwindSafe> UnwindSafe for Admitted<'_, '_, F> {}

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
