//! A call that waits for the storage.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::circuit::Ticket;
use crate::sync::thread::{self, Thread};

/// How far the storage has been asked for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not at all.
    First,
    /// What it has is known.
    Read,
    /// As far as it goes: what is known here decides.
    Last,
}

/// What a waiting call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is a probe.
    Granted(Ticket),
    /// Ask here again, from that stage on.
    Decide(Stage),
}

/// The driver's end. Dropped, the call goes on from the last stage.
#[derive(Debug)]
pub(crate) struct Waiter(oneshot::Sender<Verdict>);

/// The call's end.
#[derive(Debug)]
pub(crate) struct Waiting(oneshot::Receiver<Verdict>);

impl Waiter {
    pub(crate) fn new() -> (Self, Waiting) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), Waiting(receiver))
    }

    /// Whether the call has not given up.
    pub(crate) fn tell(self, verdict: Verdict) -> bool {
        self.0.send(verdict).is_ok()
    }
}

impl Waiting {
    /// Gives up, and returns the ticket that came too late to be taken.
    pub(crate) fn give_up(&mut self) -> Option<Ticket> {
        self.0.close();
        match self.0.try_recv() {
            Ok(Verdict::Granted(ticket)) => Some(ticket),
            Ok(Verdict::Decide(_)) | Err(_) => None,
        }
    }
}

impl Future for Waiting {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        let receiver = Pin::new(&mut self.0);
        receiver.poll(cx).map(|verdict| verdict.unwrap_or(Verdict::Decide(Stage::Last)))
    }
}

/// Waits for a future on this thread, at most so long.
pub(crate) fn block_on<F: Future + Unpin>(future: F, timeout: Duration) -> Option<F::Output> {
    // Within a task of tokio, its channels would otherwise give up after some polls.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = timeout.checked_sub(began.elapsed()).filter(|left| !left.is_zero())?;
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn leave_that_came_too_late_is_returned() {
        let ticket = Ticket { generation: 3, probe: None };
        let (waiter, mut waiting) = Waiter::new();
        assert!(waiter.tell(Verdict::Granted(ticket)));
        assert_eq!(waiting.give_up(), Some(ticket));
        let (waiter, mut waiting) = Waiter::new();
        assert_eq!(waiting.give_up(), None);
        assert!(!waiter.tell(Verdict::Granted(ticket)), "nobody waits");
    }
}
