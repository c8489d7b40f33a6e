//! Buffers for what waits to be written. Few connections have something waiting at any one
//! time, so they borrow from their thread's stock: an idle one holds nothing, and those
//! that are written turn after turn use memory that is still in the processor's caches.

use std::cell::RefCell;

thread_local! {
    static STOCK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// More buffers than this are not kept.
const MAX_BUFFERS: usize = 1_024;
/// A larger buffer is not kept: what one slow client needed, the next may not.
const MAX_CAPACITY: usize = 16 * 1_024;

/// An empty buffer.
pub fn take() -> Vec<u8> {
    STOCK.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a buffer back; what is in it is gone.
pub fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > MAX_CAPACITY {
        return;
    }
    buffer.clear();
    STOCK.with_borrow_mut(|stock| {
        if stock.len() < MAX_BUFFERS {
            stock.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_empty_and_not_too_large() {
        give(b"left".to_vec());
        assert!(take().is_empty());
        give(Vec::with_capacity(MAX_CAPACITY + 1));
        (0..=MAX_BUFFERS).for_each(|_| give(Vec::with_capacity(8)));
        let kept = (0..=MAX_BUFFERS).map(|_| take()).filter(|buffer| buffer.capacity() > 0);
        assert_eq!(kept.count(), MAX_BUFFERS);
    }
}
