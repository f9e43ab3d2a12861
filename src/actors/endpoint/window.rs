//! How many requests an endpoint gets at a time.

/// Grows with every answer and halves with every failure to get one, so that a dead receiver holds few sockets and few
/// seconds, and a live one gets as much as it takes.
#[derive(Debug)]
pub(super) struct Window(usize);

impl Window {
    const SMALLEST: usize = 2;
    const FIRST: usize = 16;
    const LARGEST: usize = 64;

    pub(super) const fn new() -> Self {
        Self(Self::FIRST)
    }

    /// Requests that may be under way.
    pub(super) const fn size(&self) -> usize {
        self.0
    }

    /// The receiver keeps up.
    pub(super) fn widen(&mut self) {
        self.0 = (self.0 + 1).min(Self::LARGEST);
    }

    /// The receiver does not answer, or asks for less.
    pub(super) fn narrow(&mut self) {
        self.0 = (self.0 / 2).max(Self::SMALLEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_receiver_gets_little_and_a_live_one_gets_all() {
        let mut window = Window::new();
        for _ in 0..10 {
            window.narrow();
        }
        assert_eq!(window.size(), Window::SMALLEST);
        for _ in 0..100 {
            window.widen();
        }
        assert_eq!(window.size(), Window::LARGEST);
    }
}
