//! `[referrals]`: members who bring others.

use chrono::Duration;

use super::achievements::UNITS;
use super::reader::{Reader, Table};
use crate::domain::coupon::CouponBook;
use crate::domain::money::Money;
use crate::domain::terms::achievement::{OnRefund, Prize};
use crate::domain::terms::referral::{Approval, Referrals, SenderLimits};
use crate::domain::terms::wallet::WalletTerms;

/// The longest that anything waits.
const MAX_DAYS: i64 = 3_660;
/// How long a guest is new unless the program says so.
const NEW_DAYS: i64 = 30;
/// The most referrals of one sender, for all who mistype it.
const MAX_LIMIT: i64 = 1_000_000;

impl Reader<'_> {
    pub(super) fn referrals(
        &mut self,
        table: &Table<'_>,
        wallets: &[WalletTerms],
        books: &[CouponBook],
    ) -> Option<Referrals> {
        const KEYS: [&str; 11] = [
            "approval",
            "minimum",
            "expires_after_days",
            "new_for_days",
            "limit",
            "limit_per_period",
            "period",
            "revoke_on_refund",
            "link",
            "sender",
            "receiver",
        ];
        let table = self.section(table, "referrals")?;
        self.known_keys(table, &KEYS);
        let approval = self.approval(table)?;
        let limits = self.sender_limits(table);
        let days = |days: Option<i64>| days.map(Duration::days);
        let link = table.get("link").and_then(|value| {
            let link = self.text(value)?;
            if !link.contains("{code}") {
                let help = "write `link = \"https://example.com/join/{code}\"`".to_owned();
                self.problem(value.span().start, "the link has no `{code}` in it", Some(help));
            }
            Some(link.into())
        });
        let on_refund = match self.flag(table, "revoke_on_refund", true) {
            true => OnRefund::Revoke,
            false => OnRefund::Keep,
        };
        Some(Referrals {
            approval,
            expires_after: days(self.whole(table, "expires_after_days", 1..=MAX_DAYS)),
            new_for: Duration::days(self.whole(table, "new_for_days", 0..=MAX_DAYS).unwrap_or(NEW_DAYS)),
            limits,
            on_refund,
            sender: self.side(table, "sender", wallets, books),
            receiver: self.side(table, "receiver", wallets, books),
            link,
        })
    }

    fn approval(&mut self, table: &Table<'_>) -> Option<Approval> {
        let minimum = match table.get("minimum") {
            None => Money::ZERO,
            Some(value) => Money::new(self.positive(value)?),
        };
        let known = [("first_order", Approval::FirstOrder { minimum }), ("manual", Approval::Manual)];
        let approval = match table.get("approval") {
            Some(value) => self.one_of(value, &known)?,
            None => Approval::FirstOrder { minimum },
        };
        if let Some(value) = table.get("minimum").filter(|_| approval == Approval::Manual) {
            self.problem(value.span().start, "`minimum` goes with `approval = \"first_order\"`", None);
        }
        Some(approval)
    }

    fn sender_limits(&mut self, table: &Table<'_>) -> SenderLimits {
        let total = self.whole(table, "limit", 1..=MAX_LIMIT).map(|limit| limit as u32);
        let most = self.whole(table, "limit_per_period", 1..=MAX_LIMIT).map(|limit| limit as u32);
        let unit = table.get("period").and_then(|value| self.one_of(value, &UNITS));
        for (key, other) in [("limit_per_period", "period"), ("period", "limit_per_period")] {
            if let Some(value) = table.get(key).filter(|_| table.get(other).is_none()) {
                self.problem(value.span().start, format!("`{key}` goes with `{other}`"), None);
            }
        }
        SenderLimits { total, per_period: unit.zip(most) }
    }

    /// `[referrals.sender]` or `[referrals.receiver]`
    fn side(&mut self, table: &Table<'_>, key: &str, wallets: &[WalletTerms], books: &[CouponBook]) -> Prize {
        let Some(table) = self.section(table, key) else { return Prize::default() };
        self.known_keys(table, &["award", "wallet", "coupon"]);
        self.prize(table, wallets, books)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;
    use crate::domain::money::Points;
    use crate::domain::terms::achievement::Unit;

    fn parse(text: &str) -> Result<Option<Referrals>, Vec<String>> {
        let text = format!("name = \"A\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n{text}");
        let manifest = Manifest::parse(&text);
        let problems = |problems: Vec<crate::rules::diagnostic::Diagnostic>| {
            problems.into_iter().map(|problem| problem.message).collect()
        };
        manifest.map(|manifest| manifest.terms.referrals).map_err(problems)
    }

    #[test]
    fn referrals_are_read_as_written() {
        assert_eq!(parse(""), Ok(None));
        let usual = parse("[referrals]").unwrap().unwrap();
        assert_eq!(usual.approval, Approval::FirstOrder { minimum: Money::ZERO });
        assert_eq!((usual.new_for, usual.limits), (Duration::days(30), SenderLimits::default()));
        assert_eq!(usual.on_refund, OnRefund::Revoke);
        let full = "[referrals]\nminimum = 15.00\nlimit = 50\nlimit_per_period = 5\nperiod = \"month\"\n\
                    expires_after_days = 30\nrevoke_on_refund = false\nlink = \"https://x.test/{code}\"\n\
                    [referrals.sender]\naward = 100\n[referrals.receiver]\naward = 50\nwallet = \"points\"";
        let full = parse(full).unwrap().unwrap();
        assert_eq!(full.approval, Approval::FirstOrder { minimum: "15".parse().unwrap() });
        assert_eq!(full.limits, SenderLimits { total: Some(50), per_period: Some((Unit::Month, 5)) });
        assert_eq!(full.on_refund, OnRefund::Keep);
        assert_eq!(full.sender.points, Some((None, Points(100))));
        assert_eq!(full.receiver.points.map(|(_, points)| points), Some(Points(50)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, says) in [
            ("approval = \"automatic\"", "not known"),
            ("approval = \"manual\"\nminimum = 5", "goes with `approval"),
            ("limit_per_period = 5", "goes with `period`"),
            ("period = \"month\"", "goes with `limit_per_period`"),
            ("link = \"https://x.test\"", "no `{code}`"),
            ("limits = 5", "no setting called `limits`"),
            ("sender = 5", "must be a table"),
        ] {
            let problems = parse(&format!("[referrals]\n{text}")).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(says)), "{text}: {problems:?}");
        }
    }
}
