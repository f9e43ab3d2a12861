//! How many requests an endpoint gets at a time.

use crate::domain::endpoint::Concurrency;

/// Grows with every answer and halves with every failure to get one, so that a dead receiver holds few sockets and few
/// seconds, and a live one gets as much as it takes.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    largest: usize,
}

impl Window {
    /// What one begins with, and never gets less than: with every answer that is twice as much a moment later, and a
    /// receiver that answers nothing holds no more sockets and buffers, however much it is owed.
    const SMALLEST: usize = 2;

    /// One that never gets larger than that.
    pub(super) fn of(largest: Concurrency) -> Self {
        let largest = largest.get() as usize;
        Self { size: Self::SMALLEST.min(largest), largest }
    }

    /// Has another bound from now on.
    pub(super) fn bound(&mut self, largest: Concurrency) {
        self.largest = largest.get() as usize;
        self.size = self.size.min(self.largest);
    }

    /// Requests that may be under way.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// The receiver keeps up.
    pub(super) fn widen(&mut self) {
        self.size = (self.size + 1).min(self.largest);
    }

    /// The receiver does not answer, or asks for less.
    pub(super) fn narrow(&mut self) {
        self.size = (self.size / 2).max(Self::SMALLEST).min(self.largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_receiver_gets_little_and_a_live_one_gets_all_that_it_may() {
        for (largest, least) in [(64, 2), (3, 2), (1, 1)] {
            let mut window = Window::of(Concurrency::of(largest));
            assert_eq!(window.size(), least, "of {largest}");
            (0..10).for_each(|_| window.narrow());
            assert_eq!(window.size(), least, "of {largest}");
            (0..100).for_each(|_| window.widen());
            assert_eq!(window.size(), largest as usize);
        }
    }

    #[test]
    fn a_smaller_bound_holds_at_once() {
        let mut window = Window::of(Concurrency::of(64));
        window.bound(Concurrency::of(1));
        assert_eq!(window.size(), 1);
    }
}
