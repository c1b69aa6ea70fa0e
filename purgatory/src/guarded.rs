//! A future that runs under a permit.

use std::borrow::Borrow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::breaker::CircuitBreaker;
use crate::permit::{Permit, Unsettled};

pin_project! {
    /// A future under a permit, which it hands back with the output.
    ///
    /// Dropped by a panic of its own poll it is a failure; dropped between two polls it is what
    /// `cancelled` says. A panic elsewhere in the task, which drops this future as well, is the
    /// second: it says nothing about this call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Guarded<B: Borrow<CircuitBreaker>, F> {
        #[pin]
        body: F,
        permit: Option<Permit<B>>,
        cancelled: Unsettled,
    }
}

impl<B: Borrow<CircuitBreaker>, F: Future> Guarded<B, F> {
    pub(crate) fn new(mut permit: Permit<B>, cancelled: Unsettled, body: F) -> Self {
        permit.unsettled(cancelled);
        Self { body, permit: Some(permit), cancelled }
    }
}

impl<B: Borrow<CircuitBreaker>, F: Future> Future for Guarded<B, F> {
    type Output = (Permit<B>, F::Output);

    /// # Panics
    ///
    /// If polled again after it is ready, as futures may.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(permit) = this.permit {
            permit.unsettled(Unsettled::Failure);
        }
        match this.body.poll(cx) {
            Poll::Ready(output) => {
                let permit = this.permit.take().expect("a future is not polled after it is ready");
                Poll::Ready((permit, output))
            }
            Poll::Pending => {
                if let Some(permit) = this.permit {
                    permit.unsettled(*this.cancelled);
                }
                Poll::Pending
            }
        }
    }
}
