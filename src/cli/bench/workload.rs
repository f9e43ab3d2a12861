//! The orders: a pure function of seed and number, so that two runs send the same.

use std::io::Write as _;

use crate::cli::till::{Cents, MENU, Random};

/// Makes the source events of one run.
#[derive(Debug)]
pub(super) struct Workload {
    run: String,
    seed: u64,
    members: u64,
    occurred_at: String,
}

impl Workload {
    /// `run` tells the keys of this run from those of others; `occurred_at` is RFC 3339.
    pub(super) fn new(run: String, seed: u64, members: u64, occurred_at: String) -> Self {
        Self { run, seed, members, occurred_at }
    }

    /// Appends the `n`-th order, as one line of JSON without its end.
    pub(super) fn order(&self, n: u64, to: &mut Vec<u8>) {
        let mut random = Random::new(self.seed, n);
        let member = random.below(self.members);
        let items = 1 + random.below(3);
        let picks: Vec<_> = (0..items).map(|_| MENU[random.below(MENU.len() as u64) as usize]).collect();
        let total: u64 = picks.iter().map(|(_, _, cents)| cents).sum();
        let (run, at) = (&self.run, &self.occurred_at);
        // Writing to a Vec cannot fail, here and below.
        let _ = write!(
            to,
            r#"{{"key":"{run}-{n:06}","type":"order.completed","occurred_at":"{at}","member":{{"id":"bench-{member:06}"}},"location":"loc_bench","data":{{"order_id":"{run}-{n:06}","total":{},"channel":"pos","items":["#,
            Cents(total)
        );
        for (i, (name, category, cents)) in picks.into_iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let price = Cents(cents);
            let _ = write!(
                to,
                r#"{comma}{{"name":"{name}","category":"{category}","quantity":1,"price":{price}}}"#
            );
        }
        to.extend_from_slice(b"]}}");
    }

    /// Appends the first visit of the `n`-th member, to enrol them.
    pub(super) fn enrolment(&self, n: u64, to: &mut Vec<u8>) {
        let (run, at) = (&self.run, &self.occurred_at);
        let _ = write!(
            to,
            r#"{{"key":"warm-{run}-{n:06}","type":"visit","occurred_at":"{at}","member":{{"id":"bench-{n:06}"}}}}"#
        );
    }

    /// The number of the order with this key; `None` for keys that are not of this run.
    pub(super) fn number_of(&self, key: &str) -> Option<u64> {
        key.strip_prefix(self.run.as_str())?.strip_prefix('-')?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source_event::{SourceEvent, SourceType};
    use std::collections::BTreeSet;

    fn workload(seed: u64) -> Workload {
        Workload::new("bench-7f3a".into(), seed, 50, "2026-03-03T18:30:00Z".into())
    }

    fn parse(body: &[u8]) -> SourceEvent {
        SourceEvent::parse(body, &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn every_order_is_one_the_engine_understands_and_finds_its_number_again() {
        let workload = workload(1);
        let mut members = BTreeSet::new();
        for n in 0..2_000 {
            let mut body = Vec::new();
            workload.order(n, &mut body);
            let event = parse(&body);
            assert_eq!(workload.number_of(&event.key), Some(n));
            members.insert(event.identities[0].value.clone());
        }
        assert_eq!(members.len(), 50);
        let mut body = Vec::new();
        workload.enrolment(3, &mut body);
        assert_eq!(parse(&body).kind(), SourceType::Visit);
        assert_eq!(workload.number_of("ORD-1001"), None);
        assert_eq!(workload.number_of("bench-7f3a"), None);
    }

    #[test]
    fn the_same_seed_makes_the_same_orders() {
        let order = |seed, n| {
            let mut body = Vec::new();
            workload(seed).order(n, &mut body);
            body
        };
        assert_eq!(order(1, 7), order(1, 7));
        assert_ne!(order(1, 7), order(2, 7));
    }
}
