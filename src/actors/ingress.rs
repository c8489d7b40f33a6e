//! How much of one client's input may be under way. Past the bound its
//! connection is not read, so the client waits and nothing piles up here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Counts a client's events that have no outcome yet.
#[derive(Default)]
pub struct Ingress {
    under_way: AtomicUsize,
    reader: AtomicWaker,
}

/// One event's place; given back when it is dropped.
pub struct IngressSlot(Arc<Ingress>);

impl Ingress {
    /// More than any acknowledged publisher keeps in flight, and little memory.
    pub const BOUND: usize = 1024;

    pub fn take(self: &Arc<Self>) -> IngressSlot {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        IngressSlot(self.clone())
    }

    /// Ready while more may be read. One reader at a time.
    pub fn poll_open(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        self.reader.register(context.waker());
        // It may have opened between the look and the registration.
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_open(&self) -> bool {
        self.under_way.load(Ordering::Acquire) < Self::BOUND
    }
}

impl Drop for IngressSlot {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == Ingress::BOUND {
            self.0.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn it_closes_at_the_bound_and_opens_below_it() {
        let ingress = Arc::new(Ingress::default());
        let context = Context::from_waker(Waker::noop());
        let mut slots: Vec<_> = (0..Ingress::BOUND).map(|_| ingress.take()).collect();
        assert!(ingress.poll_open(&context).is_pending());
        slots.pop();
        assert!(ingress.poll_open(&context).is_ready());
    }
}
