//! What one courier may send: the endpoint's rate, and the breaker of its receiver.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;

use crate::domain::Timestamp;
use crate::domain::endpoint::Settings;
use crate::domain::gate::{Breaker, Leave, News, Noted, Rate, Sign};

/// Until when a courier rests although something may be due. So the test clock, which waits at each instant until all
/// that is due is done, knows that nothing will be done before that.
#[derive(Debug, Default)]
pub(super) struct Rest(AtomicI64);

impl Rest {
    /// What a courier says that rests until then, or does not rest.
    pub(super) fn set(&self, until: Option<Timestamp>) {
        self.0.store(until.map_or(0, |until| until.timestamp_micros()), Ordering::Release);
    }

    /// Until when it rests.
    pub(super) fn until(&self) -> Option<Timestamp> {
        let micros = Some(self.0.load(Ordering::Acquire)).filter(|micros| *micros != 0);
        micros.and_then(DateTime::from_timestamp_micros)
    }
}

/// What is known of a receiver, and what of that was handed to the journal.
#[derive(Debug)]
struct Known {
    breaker: Breaker,
    noted: Noted,
}

/// Lets attempts begin, or not yet.
#[derive(Debug, Default)]
pub(super) struct Gate {
    rate: Rate,
    /// Nothing leaves before it was read.
    known: Option<Known>,
}

impl Gate {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { rate: Rate::of(settings.rate_limit), known: None }
    }

    /// Has other settings from now on.
    pub(super) fn bound(&mut self, settings: &Settings) {
        self.rate.bound(settings.rate_limit);
    }

    /// Whether it has to be read what is known of the receiver.
    pub(super) const fn is_ignorant(&self) -> bool {
        self.known.is_none()
    }

    /// What is stored may be something else by now.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// What is stored.
    pub(super) fn recall(&mut self, noted: Noted) {
        self.known = Some(Known { breaker: Breaker::resuming(noted.condition), noted });
    }

    /// What the breaker lets leave; nothing while nothing is known.
    pub(super) fn leave(&self, now: Timestamp) -> Option<Leave> {
        self.known.as_ref().map(|known| known.breaker.condition().leave(now))
    }

    /// Whether nothing may leave, and until when.
    pub(super) fn held_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        match self.leave(now)? {
            Leave::NothingBefore(until) => Some(until),
            Leave::Freely | Leave::OneProbe => self.rate.check(now).err(),
        }
    }

    /// Lets another attempt begin, if the rate allows it.
    pub(super) fn admit(&mut self, now: Timestamp) -> bool {
        self.rate.take(now).is_ok()
    }

    /// Takes note of how an attempt ended. Answers what is to be told, and what is to be stored when it is something new.
    pub(super) fn learn(
        &mut self,
        sign: Sign,
        is_probe: bool,
        now: Timestamp,
        settings: &Settings,
    ) -> (Option<News>, Option<Noted>) {
        let Some(known) = &mut self.known else { return (None, None) };
        let news = known.breaker.learn(sign, is_probe, now, &settings.failing);
        let noted = Noted { condition: known.breaker.condition(), ..known.noted };
        let is_new = noted != known.noted;
        known.noted = noted;
        (news, is_new.then_some(noted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::Condition;

    #[test]
    fn only_what_is_new_is_stored_and_nothing_leaves_before_it_was_read() {
        let (now, settings) = (Timestamp::UNIX_EPOCH, Settings::default());
        let mut gate = Gate::of(&settings);
        let fails = Sign::Fails { asks: None };
        assert_eq!((gate.leave(now), gate.learn(fails, false, now, &settings)), (None, (None, None)));
        gate.recall(Noted { epoch: 7, condition: Condition::default() });
        assert_eq!(gate.learn(Sign::Takes, false, now, &settings), (None, None));
        let noted = gate.learn(fails, false, now, &settings).1.unwrap();
        assert_eq!((noted.epoch, noted.condition.trouble.unwrap().since), (7, now));
        assert_eq!(gate.learn(fails, false, now, &settings), (None, None));
        (0..8).for_each(|_| _ = gate.learn(fails, false, now, &settings));
        assert_eq!(gate.held_until(now), Some(now + chrono::Duration::seconds(30)));
        gate.forget();
        assert!(gate.is_ignorant() && gate.held_until(now).is_none());
    }

    #[test]
    fn a_courier_says_until_when_it_rests() {
        let rest = Rest::default();
        assert_eq!(rest.until(), None);
        let until = Timestamp::UNIX_EPOCH + chrono::Duration::seconds(9);
        rest.set(Some(until));
        assert_eq!(rest.until(), Some(until));
        rest.set(None);
        assert_eq!(rest.until(), None);
    }
}
