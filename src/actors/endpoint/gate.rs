//! What one courier may send: the endpoint's rate, the breaker of its receiver, and whether there is a way out at all.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

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

/// Nothing leaves our own network. That is no matter of one receiver, so it is not stored with what is known of it.
#[derive(Debug, Clone, Copy)]
struct Blocked {
    /// When to see again whether there is a way out.
    until: Timestamp,
    /// How often there was none, one after the other.
    times: u32,
    /// Up to when the time is passed over.
    passed: Timestamp,
}

/// What follows for an attempt that did not get out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotOut {
    /// When to see again.
    pub(super) until: Timestamp,
    /// Whether one before it found that out.
    pub(super) again: bool,
    /// What is to be stored of its receiver, when that is something new.
    pub(super) noted: Option<Noted>,
}

impl Blocked {
    /// The first pause. It doubles each time.
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);
}

/// Lets attempts begin, or not yet.
#[derive(Debug, Default)]
pub(super) struct Gate {
    rate: Rate,
    blocked: Option<Blocked>,
    /// Nothing leaves before it was read.
    known: Option<Known>,
}

impl Gate {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { rate: Rate::of(settings.rate_limit), blocked: None, known: None }
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

    /// What may leave, but for the rate; nothing while nothing is known.
    pub(super) fn leave(&self, now: Timestamp) -> Option<Leave> {
        let leave = self.known.as_ref()?.breaker.condition().leave(now);
        Some(match (self.blocked, leave) {
            (Some(Blocked { until, .. }), Leave::NothingBefore(held)) => {
                Leave::NothingBefore(held.max(until))
            }
            (Some(Blocked { until, .. }), _) if now < until => Leave::NothingBefore(until),
            (Some(_), _) => Leave::OneProbe,
            (None, leave) => leave,
        })
    }

    /// Takes note that nothing gets out. The time since it was found out is passed over attempt by attempt, so that a restart
    /// forgets little of it.
    pub(super) fn block(&mut self, now: Timestamp) -> NotOut {
        let times = match self.blocked {
            // Those that were under way together say it once.
            Some(Blocked { until, times, .. }) if now < until => {
                return NotOut { until, again: times > 0, noted: None };
            }
            Some(Blocked { times, .. }) => times.saturating_add(1),
            None => 0,
        };
        self.pass_over(now);
        let until = now + Blocked::SHORTEST.saturating_mul(1 << times.min(16)).min(Blocked::LONGEST);
        self.blocked = Some(Blocked { until, times, passed: now });
        NotOut { until, again: times > 0, noted: self.news() }
    }

    /// Takes note that there is a way out. What follows of it for the receiver is stored with what the attempt says.
    pub(super) fn unblock(&mut self, now: Timestamp) {
        self.pass_over(now);
        self.blocked = None;
    }

    fn pass_over(&mut self, now: Timestamp) {
        if let (Some(Blocked { passed, .. }), Some(known)) = (self.blocked, &mut self.known) {
            known.breaker.pass_over((now - passed).max(chrono::Duration::zero()));
        }
    }

    /// What is known, if that is something new.
    fn news(&mut self) -> Option<Noted> {
        let known = self.known.as_mut()?;
        let noted = Noted { condition: known.breaker.condition(), ..known.noted };
        let is_new = noted != known.noted;
        known.noted = noted;
        is_new.then_some(noted)
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
        (news, self.news())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Condition, Trouble};

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
    fn while_nothing_gets_out_one_attempt_now_and_then_looks_whether_it_does() {
        let (mut now, settings) = (Timestamp::UNIX_EPOCH, Settings::default());
        let mut gate = Gate::of(&settings);
        gate.recall(Noted::default());
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            let until = now + chrono::Duration::seconds(pause);
            let out = NotOut { until, again: pause > 1, noted: None };
            assert_eq!([gate.block(now), gate.block(now)], [out; 2], "what was under way says it once");
            assert_eq!(gate.leave(now), Some(Leave::NothingBefore(until)));
            assert_eq!(gate.leave(until), Some(Leave::OneProbe));
            now = until;
        }
        gate.unblock(now);
        assert_eq!(gate.leave(now), Some(Leave::Freely));
        let until = now + chrono::Duration::seconds(1);
        assert_eq!(gate.block(now), NotOut { until, again: false, noted: None });
    }

    #[test]
    fn the_time_in_which_nothing_gets_out_makes_no_receiver_look_worse() {
        let at = |seconds| Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds);
        let settings = Settings::default();
        let mut gate = Gate::of(&settings);
        gate.recall(Noted::default());
        let since = |noted: Option<Noted>| noted.and_then(|noted| noted.condition.trouble).map(|t| t.since);
        assert_eq!(since(gate.learn(Sign::Refuses, false, at(0), &settings).1), Some(at(0)));
        assert_eq!(since(gate.block(at(100)).noted), None, "the time before may be the receiver's");
        assert_eq!(since(gate.block(at(150)).noted), Some(at(50)));
        assert_eq!(since(gate.block(at(151)).noted), None, "what was under way says it once");
        // What is read again is what was stored.
        gate.forget();
        gate.recall(Noted { condition: gate_after(at(50)), ..Noted::default() });
        gate.unblock(at(170));
        assert_eq!(since(gate.learn(Sign::Refuses, true, at(170), &settings).1), Some(at(70)));
        gate.unblock(at(200));
        assert_eq!(since(gate.learn(Sign::Refuses, false, at(200), &settings).1), None);
    }

    fn gate_after(since: Timestamp) -> Condition {
        Condition { trouble: Some(Trouble { since, warned_at: None }), ..Condition::default() }
    }

    #[test]
    fn what_a_receiver_asked_for_holds_though_nothing_gets_out() {
        let (now, settings) = (Timestamp::UNIX_EPOCH, Settings::default());
        let mut gate = Gate::of(&settings);
        gate.recall(Noted::default());
        let asks = Some(Duration::from_secs(9));
        gate.learn(Sign::Fails { asks }, false, now, &settings);
        gate.block(now);
        let until = now + chrono::Duration::seconds(9);
        assert_eq!(gate.leave(now), Some(Leave::NothingBefore(until)));
        assert_eq!(gate.leave(until), Some(Leave::OneProbe));
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
