//! What the engine shows, held against the reference.

use serde_json::json;

use super::program::{ACHIEVEMENTS, TIERS, WALLETS, name};
use super::purse::NEVER;
use super::reference::{Reference, rfc3339};
use super::{Database, Engine};

impl<D: Database> Engine<D> {
    pub(super) fn check_all(&mut self, reference: &Reference) {
        for member in 0..reference.members.len() {
            self.check(reference, member);
        }
        let shown = self.get("/events?type=cart.abandoned&limit=100");
        let told = shown["items"].as_array().unwrap().iter().map(|event| &event["data"]);
        let told = told.map(|cart| (cart["cart_id"].as_str().unwrap(), cart["item_count"].as_u64().unwrap()));
        let mut told: Vec<_> = told.map(|(id, things)| (id.to_owned(), things as usize)).collect();
        let mut wanted = reference.abandoned.clone();
        told.sort();
        wanted.sort();
        assert_eq!(told, wanted, "carts that were abandoned");
        for (code, coupon) in self.codes.iter().zip(&reference.coupons) {
            let shown = self.get(&format!("/coupons/{code}"));
            assert_eq!(
                (&shown["total_usages"], &shown["total_assigned"]),
                (&json!(coupon.used), &json!(1)),
                "{shown}"
            );
        }
    }

    /// Compares what the engine shows of a member, and what its ledger adds up to: nothing for one who was absorbed.
    pub(super) fn check(&mut self, reference: &Reference, member: usize) {
        let living = reference.living(member);
        let wanted = &reference.members[living];
        let shown = self.get(&format!("/members/{}", name(member)));
        assert_eq!(
            (&shown["member_id"], &shown["tier"]),
            (&json!(self.ids[living]), &json!(TIERS[wanted.tier])),
            "guest {member}: {shown}"
        );
        self.read_ledger(member);
        for (wallet, own) in WALLETS.iter().zip(&reference.members[member].purses) {
            let mut sum = |account: &str| {
                let account = format!("{account}:{}", self.ids[member]);
                *self.sums.entry((account, (*wallet).to_owned())).or_default()
            };
            let sums = (sum("member"), sum("pending"));
            assert_eq!(sums, (own.balance(), own.pending()), "the ledger of {wallet} of guest {member}");
        }
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
        }
        self.check_achievements(reference, member);
        let shown = self.get(&format!("/members/{}/referral", name(member)));
        let status = reference.referral(member).map(|status| status.as_str());
        assert_eq!(
            (&shown["rewarded"], &shown["received"]["status"]),
            (&json!(reference.rewarded(member)), &json!(status)),
            "guest {member}: {shown}"
        );
        let total: i64 = self.sums.values().sum();
        assert_eq!(total, 0, "debits equal credits");
    }

    fn check_achievements(&self, reference: &Reference, member: usize) {
        let shown = self.get(&format!("/members/{}/achievements", name(member)));
        for (nth, (id, ..)) in ACHIEVEMENTS.iter().enumerate() {
            let shown =
                shown["items"].as_array().unwrap().iter().find(|shown| shown["achievement"] == *id).unwrap();
            let (times, progress) = reference.achievement(member, nth);
            let times =
                if reference.is_doubtful(member, nth) { shown["times"].clone() } else { json!(times) };
            assert_eq!(
                (&shown["times"], &shown["progress"]),
                (&times, &json!(progress)),
                "guest {member}: {shown}"
            );
        }
    }

    /// Adds the lines that are new.
    fn read_ledger(&mut self, member: usize) {
        let mut cursor = String::new();
        let mut newest = None;
        loop {
            let page = self.get(&format!("/members/{}/ledger?limit=20{cursor}", self.ids[member]));
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
