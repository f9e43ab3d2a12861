//! `[[rewards]]`: what points can be spent on.

use super::reader::{Reader, Table, Value};
use crate::domain::money::Points;
use crate::domain::terms::reward::{Approval, RewardTerms};
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::{Name, Note};
use crate::rules::diagnostic::Mistake;
use crate::rules::suggest;

/// The most rewards of a program.
const MAX_REWARDS: usize = 200;
/// The most of one reward: far from any overflow.
const MAX_STOCK: i64 = 1_000_000_000;
/// The longest time that a redemption may stay open, in days.
const MAX_DAYS: i64 = 3_660;
const SHAPE: &str = "rewards are tables: write [[rewards]] for each";

impl Reader<'_> {
    /// The rewards; a program may have none.
    pub(super) fn rewards(&mut self, table: &Table<'_>, wallets: &[WalletTerms]) -> Vec<RewardTerms> {
        let Some(list) = table.get("rewards") else { return Vec::new() };
        let Some(values) = list.get_ref().as_array() else {
            self.problem(list.span().start, SHAPE, None);
            return Vec::new();
        };
        if values.len() > MAX_REWARDS {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("a program may have {MAX_REWARDS} rewards"),
                None,
            );
        }
        let mut rewards: Vec<RewardTerms> = Vec::new();
        for value in values.iter().take(MAX_REWARDS) {
            let Some(reward) = self.reward(value, wallets) else { continue };
            if rewards.iter().any(|known| known.id == reward.id) {
                let message = format!("there are two rewards called `{}`", reward.id);
                self.mistake(Mistake::DuplicateName, value.span().start, message, None);
            }
            rewards.push(reward);
        }
        rewards
    }

    fn reward(&mut self, value: &Value<'_>, wallets: &[WalletTerms]) -> Option<RewardTerms> {
        const KEYS: [&str; 10] = [
            "id",
            "title",
            "type",
            "cost",
            "wallet",
            "stock",
            "limit_per_member",
            "expires_after_days",
            "auto_approve",
            "description",
        ];
        let start = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.problem(start, SHAPE, None);
            return None;
        };
        self.known_keys(table, &KEYS);
        let [id, title, kind, cost] = [
            ("id", "id = \"free-coffee\""),
            ("title", "title = \"A free coffee\""),
            ("type", "type = \"digital\""),
            ("cost", "cost = 150"),
        ]
        .map(|(key, example)| self.of_reward(table, key, example, start));
        let (id, title) = (id.and_then(|id| self.name(id)), title.and_then(|title| self.name(title)));
        let kind = kind.and_then(|kind| self.parsed(kind));
        let cost = cost.and_then(|_| self.whole(table, "cost", 1..=Points::LIMIT)).map(Points);
        let count = |this: &mut Self, key, range| {
            this.whole(table, key, range).and_then(|number| u32::try_from(number).ok())
        };
        let stock = count(self, "stock", 0..=MAX_STOCK);
        let limit_per_member = count(self, "limit_per_member", 1..=MAX_STOCK);
        let days = self.whole(table, "expires_after_days", 1..=MAX_DAYS);
        let approval = match self.flag(table, "auto_approve", true) {
            true => Approval::Automatic,
            false => Approval::ByHand,
        };
        let description = table.get("description").and_then(|text| {
            let note = Note::parse(self.text(text)?);
            note.map_err(|problem| self.problem(text.span().start, problem.to_string(), None)).ok()
        });
        let wallet = table.get("wallet").and_then(|code| self.wallet_code(code, wallets));
        Some(RewardTerms {
            id: id?,
            title: title?,
            kind: kind?,
            cost: cost?,
            wallet,
            stock,
            limit_per_member,
            expires_after_days: days.and_then(|days| days.try_into().ok()),
            approval,
            description,
        })
    }

    fn of_reward<'t, 'i>(
        &mut self,
        table: &'t Table<'i>,
        key: &str,
        example: &str,
        start: usize,
    ) -> Option<&'t Value<'i>> {
        let value = table.get(key);
        if value.is_none() {
            self.mistake(
                Mistake::MissingSetting,
                start,
                format!("`{key}` is missing"),
                Some(format!("write `{example}`")),
            );
        }
        value
    }

    /// The code of a wallet that the program has.
    pub(super) fn wallet_code(&mut self, value: &Value<'_>, wallets: &[WalletTerms]) -> Option<Name> {
        let code = self.name(value)?;
        if !wallets.iter().any(|wallet| wallet.code == code) {
            let help = suggest::or_list(&code, wallets.iter().map(|wallet| &*wallet.code));
            self.mistake(
                Mistake::UnknownName,
                value.span().start,
                format!("there is no wallet called `{code}`"),
                help,
            );
        }
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::money::Points;
    use crate::domain::terms::reward::{Approval, RewardKind};
    use crate::rules::manifest::Manifest;

    const GOOD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";

    #[test]
    fn a_reward_says_what_it_costs_and_who_may_have_it() {
        let text = format!(
            "{GOOD}[[rewards]]\nid = \"mug\"\ntitle = \"A mug\"\ntype = \"physical\"\ncost = 500\nwallet = \"points\"\n\
             stock = 10\nlimit_per_member = 1\nexpires_after_days = 30\nauto_approve = false\ndescription = \"Blue.\"\n\
             [[rewards]]\nid = \"card\"\ntitle = \"$25 Gift Card\"\ntype = \"digital\"\ncost = 2500\n"
        );
        let rewards = Manifest::parse(&text).unwrap().terms.rewards;
        let mug = &rewards[0];
        assert_eq!((mug.kind, mug.cost, mug.approval), (RewardKind::Physical, Points(500), Approval::ByHand));
        assert_eq!((mug.stock, mug.limit_per_member, mug.expires_after_days), (Some(10), Some(1), Some(30)));
        let card = &rewards[1];
        assert_eq!((card.kind, card.approval, card.stock), (RewardKind::Digital, Approval::Automatic, None));
        assert_eq!((card.limit_per_member, card.expires_after_days, &card.wallet), (None, None, &None));
    }

    #[test]
    fn every_mistake_in_a_reward_is_found_with_its_place() {
        const MUG: &str = "[[rewards]]\nid = \"mug\"\ntitle = \"A mug\"\ntype = \"physical\"\ncost = 5";
        for (text, line, says) in [
            ("rewards = 5".to_owned(), 4, "[[rewards]]"),
            ("rewards = [\"mug\"]".to_owned(), 4, "[[rewards]]"),
            (
                "[[rewards]]\nid = \"mug\"\ntitle = \"A mug\"\ntype = \"physical\"".to_owned(),
                4,
                "`cost` is missing",
            ),
            (MUG.replace("physical", "edible"), 7, "digital"),
            (MUG.replace("= 5", "= 0"), 8, "between 1 and"),
            (format!("{MUG}\nprice = 5"), 9, "no setting called `price`"),
            (format!("{MUG}\nwallet = \"pionts\""), 9, "no wallet called `pionts`"),
            (format!("{MUG}\nstock = -1"), 9, "between 0 and"),
            (format!("{MUG}\nlimit_per_member = 0"), 9, "between 1 and"),
            (format!("{MUG}\nexpires_after_days = 0"), 9, "between 1 and"),
            (format!("{MUG}\nauto_approve = \"no\""), 9, "`true` or `false`"),
            (format!("{MUG}\ndescription = \"\""), 9, "must not be empty"),
            (format!("{MUG}\n{MUG}"), 9, "two rewards called `mug`"),
        ] {
            let problems = Manifest::parse(&format!("{GOOD}{text}")).unwrap_err();
            let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(says));
            assert!(found && problems.len() == 1, "{text}: {problems:?}");
        }
    }
}
