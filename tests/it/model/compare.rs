//! What the engine shows, held against the reference.

use serde_json::json;

use super::program::{MEMBERS, TIERS, WALLETS, name};
use super::purse::NEVER;
use super::reference::{Reference, rfc3339};
use super::{Database, Engine};

impl<D: Database> Engine<D> {
    pub(super) fn check_all(&mut self, reference: &Reference) {
        for member in 0..MEMBERS {
            self.check(reference, member);
        }
        for (code, coupon) in self.codes.iter().zip(&reference.coupons) {
            let shown = self.get(&format!("/coupons/{code}"));
            assert_eq!(
                (&shown["total_usages"], &shown["total_assigned"]),
                (&json!(coupon.used), &json!(1)),
                "{shown}"
            );
        }
    }

    /// Compares what the engine shows of a member, and what its ledger adds up to.
    pub(super) fn check(&mut self, reference: &Reference, member: usize) {
        let wanted = &reference.members[member];
        let shown = self.get(&format!("/members/{}", name(member)));
        assert_eq!(shown["tier"], TIERS[wanted.tier], "{shown}");
        let id = shown["member_id"].as_str().unwrap().to_owned();
        self.read_ledger(member);
        for (wallet, purse) in WALLETS.iter().zip(&wanted.purses) {
            let wallets = shown["wallets"].as_array().unwrap();
            let shown = wallets.iter().find(|shown| shown["wallet"] == *wallet).unwrap();
            let lots: Vec<_> = purse
                .lots
                .iter()
                .map(|(gone, amount)| {
                    let gone = (*gone != NEVER).then(|| rfc3339(*gone));
                    json!({ "amount": amount, "expires_at": gone })
                })
                .collect();
            assert_eq!(
                (&shown["balance"], &shown["pending"], &shown["lots"]),
                (&json!(purse.balance()), &json!(purse.pending()), &json!(lots)),
                "{wallet} of guest {member}"
            );
            let mut sum = |account: &str| {
                *self.sums.entry((format!("{account}:{id}"), (*wallet).to_owned())).or_default()
            };
            assert_eq!(
                (sum("member"), sum("pending")),
                (purse.balance(), purse.pending()),
                "the ledger of {wallet}"
            );
        }
        let total: i64 = self.sums.values().sum();
        assert_eq!(total, 0, "debits equal credits");
    }

    /// Adds the lines that are new.
    fn read_ledger(&mut self, member: usize) {
        let mut cursor = String::new();
        let mut newest = None;
        loop {
            let page = self.get(&format!("/members/{}/ledger?limit=20{cursor}", name(member)));
            for line in page["items"].as_array().unwrap() {
                let text = |field: &str| line[field].as_str().unwrap().to_owned();
                newest.get_or_insert_with(|| text("id"));
                if self.newest.get(&member) == Some(&text("id")) {
                    self.newest.extend(newest.map(|id| (member, id)));
                    return;
                }
                let amount = line["amount"].as_i64().unwrap();
                assert!(amount > 0 && line["debit"] != line["credit"], "{line}");
                *self.sums.entry((text("debit"), text("wallet"))).or_default() -= amount;
                *self.sums.entry((text("credit"), text("wallet"))).or_default() += amount;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        self.newest.extend(newest.map(|id| (member, id)));
    }
}
