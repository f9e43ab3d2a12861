//! `[[wallets]]`: what the program counts in.

use super::reader::{Reader, Table};
use crate::domain::money::Points;
use crate::domain::terms::Terms;
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::wallet::MAX_LOTS;
use crate::rules::diagnostic::Mistake;

/// The most wallets of a program: each of them is in every member's state.
const MAX_WALLETS: usize = 10;
/// The longest time ahead at which an expiry can be announced, in days.
const MAX_WARN_DAYS: i64 = 365;

impl Reader<'_> {
    /// The wallets; a program that declares none has one plain wallet.
    pub(super) fn wallets(&mut self, table: &Table<'_>) -> Vec<WalletTerms> {
        let Some(list) = table.get("wallets") else { return Terms::default().wallets };
        let tables = list.get_ref().as_array().filter(|values| !values.is_empty());
        let Some(values) = tables else {
            self.problem(list.span().start, "wallets are tables: write [[wallets]] for each", None);
            return Vec::new();
        };
        if values.len() > MAX_WALLETS {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("a program may have {MAX_WALLETS} wallets"),
                None,
            );
        }
        let mut wallets: Vec<WalletTerms> = Vec::new();
        for value in values.iter().take(MAX_WALLETS) {
            let Some(table) = value.get_ref().as_table() else {
                self.problem(value.span().start, "wallets are tables: write [[wallets]] for each", None);
                continue;
            };
            let Some(wallet) = self.wallet(table, value.span().start) else { continue };
            if wallets.iter().any(|known| known.code == wallet.code) {
                let message = format!("there are two wallets called `{}`", wallet.code);
                self.mistake(Mistake::DuplicateName, value.span().start, message, None);
            }
            wallets.push(wallet);
        }
        wallets
    }

    fn wallet(&mut self, table: &Table<'_>, start: usize) -> Option<WalletTerms> {
        const KEYS: [&str; 9] = [
            "code",
            "plural",
            "qualifying",
            "expiry",
            "pending",
            "overdraft",
            "rounding",
            "max_balance",
            "warn_days",
        ];
        self.known_keys(table, &KEYS);
        let Some(code) = table.get("code") else {
            self.mistake(
                Mistake::MissingSetting,
                start,
                "`code` is missing",
                Some("write `code = \"points\"`".to_owned()),
            );
            return None;
        };
        let mut wallet = WalletTerms::plain(self.name(code)?);
        if let Some(plural) = table.get("plural").and_then(|value| self.name(value)) {
            wallet.plural = plural;
        }
        wallet.qualifying = self.flag(table, "qualifying", true);
        wallet.expiry = self.word(table, "expiry", wallet.expiry);
        if let Some(value) = table.get("expiry").filter(|_| !wallet.expiry.keeps_lots_apart()) {
            let message =
                format!("so long to the day is more than a wallet can keep apart ({MAX_LOTS} days)");
            self.problem(value.span().start, message, Some("add `, end of month`".to_owned()));
        }
        wallet.pending = self.word(table, "pending", wallet.pending);
        wallet.overdraft = self.word(table, "overdraft", wallet.overdraft);
        wallet.rounding = self.word(table, "rounding", wallet.rounding);
        wallet.max_balance = self.whole(table, "max_balance", 1..=Points::LIMIT).map(Points);
        let warn_days = self.whole(table, "warn_days", 1..=MAX_WARN_DAYS);
        wallet.warn_days = warn_days.and_then(|days| days.try_into().ok());
        Some(wallet)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::terms::wallet::{EndOf, Expiry, Overdraft, Pending, Rounding, Span};
    use crate::rules::manifest::Manifest;

    const GOOD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";

    #[test]
    fn a_wallet_says_in_words_how_it_works() {
        let text = format!(
            "{GOOD}[[wallets]]\ncode = \"points\"\nexpiry = \"12 months, end of month\"\npending = \"14 days\"\n\
             overdraft = \"refused\"\nrounding = \"half up\"\nmax_balance = 5000\nwarn_days = 7\n\
             [[wallets]]\ncode = \"stars\"\nqualifying = false\nexpiry = \"6 months unused\"\n"
        );
        let wallets = Manifest::parse(&text).unwrap().terms.wallets;
        assert_eq!(wallets[0].expiry, Expiry::After(Span::Months(12), EndOf::Month));
        assert_eq!((wallets[0].pending, wallets[0].overdraft), (Pending::Days(14), Overdraft::Refused));
        assert_eq!((wallets[0].rounding, wallets[0].warn_days), (Rounding::HalfUp, Some(7)));
        assert_eq!(wallets[1].expiry, Expiry::Inactivity(Span::Months(6)));
        assert!(wallets[0].qualifying && !wallets[1].qualifying);
        assert_eq!((&*wallets[0].plural, &*wallets[1].plural), ("points", "stars"));
        assert_eq!(&*Manifest::parse(GOOD).unwrap().terms.wallets[0].code, "points");
    }

    #[test]
    fn every_mistake_in_a_wallet_is_found_with_its_place() {
        for (text, line, says) in [
            ("wallets = []", 4, "[[wallets]]"),
            ("wallets = [\"points\"]", 4, "[[wallets]]"),
            ("[[wallets]]", 4, "`code` is missing"),
            ("[[wallets]]\ncode = \"a\"\nexpires = 1", 6, "no setting called `expires`"),
            ("[[wallets]]\ncode = \"a\"\nexpiry = \"soon\"", 6, "12 months"),
            ("[[wallets]]\ncode = \"a\"\nexpiry = \"0 days\"", 6, "12 months"),
            ("[[wallets]]\ncode = \"a\"\nexpiry = \"2 years\"", 6, "so long to the day"),
            ("[[wallets]]\ncode = \"a\"\npending = \"2 months\"", 6, "14 days"),
            ("[[wallets]]\ncode = \"a\"\nrounding = \"nearest\"", 6, "half even"),
            ("[[wallets]]\ncode = \"a\"\nmax_balance = 0", 6, "between 1 and"),
            ("[[wallets]]\ncode = \"a\"\nwarn_days = 1.5", 6, "between 1 and 365"),
            ("[[wallets]]\ncode = \"a\"\nqualifying = \"no\"", 6, "`true` or `false`"),
            ("[[wallets]]\ncode = \"a\"\n[[wallets]]\ncode = \"a\"", 6, "two wallets called `a`"),
        ] {
            let problems = Manifest::parse(&format!("{GOOD}{text}")).unwrap_err();
            let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(says));
            assert!(found && problems.len() == 1, "{text}: {problems:?}");
        }
    }
}
