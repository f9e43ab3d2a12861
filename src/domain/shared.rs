//! A value that many look at and one changes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that is lent without being copied. Whoever changes it while others still look gets a copy of their own, so
/// that nobody sees a change half done.
#[derive(Debug, Default, PartialEq)]
pub struct Shared<T>(Arc<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_sees_no_change() {
        let mut own = Shared::from(vec![1]);
        let seen = own.clone();
        own.push(2);
        assert_eq!((&*own, &*seen), (&vec![1, 2], &vec![1]));
    }

    #[test]
    fn a_change_that_nobody_looks_at_copies_nothing() {
        let mut own = Shared::from(String::from("a"));
        let place = own.as_ptr();
        drop(own.clone());
        own.make_ascii_uppercase();
        assert_eq!((own.as_ptr(), &**own), (place, "A"));
    }
}
