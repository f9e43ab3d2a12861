//! Statements of account: what a member had at one instant, at another, and what moved between them.
//!
//! Computed from the ledger backwards: today's balances less every line since. An instant stands for a place in the
//! ledger, behind the last line that was decided by then; so the end of one statement is the beginning of the next.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::Timestamp;
use super::ledger::{Account, ChainAccount};
use super::money::Points;
use super::text::Name;
use super::wallet::Wallets;

/// The time of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What was decided after this instant moved in it; `None` = since enrolment.
    pub from: Option<Timestamp>,
    /// The last instant in it.
    pub to: Timestamp,
}

/// A member's points at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(rename = "Held")]
pub struct Holding {
    /// What could be spent; below zero = a deficit.
    pub balance: Points,
    /// What could not be spent yet.
    pub pending: Points,
}

/// A statement of one wallet. What was held at the opening and what moved add up to what was held at the close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WalletStatement {
    /// The wallet's code.
    pub wallet: Name,
    /// At the beginning.
    pub opening: Holding,
    /// At the end.
    pub closing: Holding,
    /// What came from (above zero) and went to (below) each of the chain's accounts.
    pub movements: BTreeMap<ChainAccount, Points>,
    /// How many lines of the ledger that were.
    pub lines: u64,
}

/// A line of the ledger, as far as statements care.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The wallet's code.
    pub wallet: &'a str,
    /// The account that is less after it.
    pub debit: Account,
    /// The account that is more after it.
    pub credit: Account,
    /// How much.
    pub amount: Points,
    /// When it was decided.
    pub at: Timestamp,
}

/// Statements in the making.
#[derive(Debug)]
pub struct Statements {
    span: Span,
    wallets: Vec<WalletStatement>,
}

impl Statements {
    /// Begins with what the member holds after their newest line.
    pub fn new(held: &Wallets, span: Span) -> Self {
        let of_wallet = |(code, wallet): (&Name, &super::wallet::Wallet)| {
            let now = Holding { balance: wallet.balance(), pending: wallet.pending() };
            let (opening, closing) = (now, now);
            WalletStatement { wallet: code.clone(), opening, closing, movements: BTreeMap::new(), lines: 0 }
        };
        Self { span, wallets: held.iter().map(of_wallet).collect() }
    }

    /// Takes the next older line. Breaks when no older one matters.
    pub fn back_over(&mut self, line: Line<'_>) -> ControlFlow<()> {
        let is_after = self.wallets.iter().all(|wallet| wallet.lines == 0) && line.at > self.span.to;
        if !is_after && self.span.from.is_some_and(|from| line.at <= from) {
            return ControlFlow::Break(());
        }
        if let Some(statement) = self.wallets.iter_mut().find(|statement| *statement.wallet == *line.wallet) {
            statement.opening.undo(line);
            match is_after {
                true => statement.closing.undo(line),
                false => statement.count(line),
            }
        }
        ControlFlow::Continue(())
    }

    /// One for each wallet that the member ever had.
    pub fn finish(self) -> Vec<WalletStatement> {
        self.wallets
    }
}

impl Holding {
    fn undo(&mut self, line: Line<'_>) {
        self.count(Line { debit: line.credit, credit: line.debit, ..line });
    }

    fn count(&mut self, line: Line<'_>) {
        for (account, sign) in [(line.credit, 1), (line.debit, -1)] {
            match account {
                Account::Member(_) => self.balance.0 += sign * line.amount.0,
                Account::Pending(_) => self.pending.0 += sign * line.amount.0,
                Account::Chain(_) => {}
            }
        }
    }
}

/// What a member's lines add up to, in whatever order they come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held(BTreeMap<SmolStr, Holding>);

impl Held {
    /// Adds a line.
    pub fn add(&mut self, line: Line<'_>) {
        self.0.entry(line.wallet.into()).or_default().count(line);
    }
}

impl WalletStatement {
    fn count(&mut self, line: Line<'_>) {
        self.lines += 1;
        for (account, sign) in [(line.debit, 1), (line.credit, -1)] {
            if let Account::Chain(account) = account {
                self.movements.entry(account).or_default().0 += sign * line.amount.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MemberId;
    use crate::domain::wallet::Wallet;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    /// Points that came (above zero) or went at some second.
    fn lines() -> impl Strategy<Value = Vec<(i64, i64)>> {
        let line = (0..3_i64, (-50..50_i64).prop_filter("something moves", |amount| *amount != 0));
        proptest::collection::vec(line, 0..20).prop_map(|lines| {
            let mut now = 0;
            lines
                .into_iter()
                .map(|(pause, amount)| {
                    now += pause;
                    (now, amount)
                })
                .collect()
        })
    }

    fn statement(lines: &[(i64, i64)], span: Span) -> WalletStatement {
        let code = Name::parse("points").unwrap();
        let me = Account::Member(MemberId::new(ulid::Ulid(1)));
        let total = lines.iter().map(|(_, amount)| amount).sum();
        let mut wallet = Wallet::default();
        match total {
            0.. => wallet.credit(Points(total), None).unwrap(),
            _ => drop(wallet.debit(Points(-total)).unwrap()),
        }
        let mut statements = Statements::new(&Wallets::only(code.clone(), wallet), span);
        for (second, amount) in lines.iter().rev() {
            let chain = Account::Chain(ChainAccount::Adjusted);
            let (debit, credit) = if *amount > 0 { (chain, me) } else { (me, chain) };
            let line = Line { wallet: &code, debit, credit, amount: Points(amount.abs()), at: at(*second) };
            if statements.back_over(line).is_break() {
                break;
            }
        }
        statements.finish().remove(0)
    }

    proptest! {
        #[test]
        fn a_statement_says_what_adding_up_says(lines in lines(), from in 0..70_i64, length in 0..70_i64) {
            let until = |last: i64| lines.iter().filter(|(at, _)| *at <= last).map(|(_, n)| n).sum::<i64>();
            let told = statement(&lines, Span { from: Some(at(from)), to: at(from + length) });
            prop_assert_eq!(told.opening.balance.0, until(from));
            prop_assert_eq!(told.closing.balance.0, until(from + length));
            let moved: i64 = told.movements.values().map(|points| points.0).sum();
            prop_assert_eq!(told.opening.balance.0 + moved, told.closing.balance.0);
        }

        #[test]
        fn a_statement_since_enrolment_begins_with_nothing(lines in lines(), to in 0..70_i64) {
            let told = statement(&lines, Span { from: None, to: at(to) });
            prop_assert_eq!(told.opening, Holding::default());
            prop_assert_eq!(told.lines, lines.iter().filter(|(at, _)| *at <= to).count() as u64);
        }
    }

    #[test]
    fn what_waits_is_held_apart_until_it_can_be_spent() {
        let member = MemberId::new(ulid::Ulid(1));
        let code = Name::parse("points").unwrap();
        let held = Wallets::only(code.clone(), Wallet::with(Points(30)));
        let mut statements = Statements::new(&held, Span { from: None, to: at(5) });
        let line =
            |debit, credit, second| Line { wallet: &code, debit, credit, amount: Points(30), at: at(second) };
        let released = line(Account::Pending(member), Account::Member(member), 9);
        let earned = line(Account::Chain(ChainAccount::Issued), Account::Pending(member), 2);
        assert!(statements.back_over(released).is_continue() && statements.back_over(earned).is_continue());
        let told = statements.finish().remove(0);
        assert_eq!(told.closing, Holding { balance: Points(0), pending: Points(30) });
        assert_eq!((told.opening, told.movements[&ChainAccount::Issued]), (Holding::default(), Points(30)));
    }

    #[test]
    fn an_instant_is_behind_the_last_line_decided_by_then_though_clocks_were_set_back() {
        let lines = [(10, 100), (4, -30), (12, 7)];
        let until = statement(&lines, Span { from: None, to: at(5) });
        assert_eq!((until.closing.balance, until.lines), (Points(70), 2));
        let after = statement(&lines, Span { from: Some(at(5)), to: at(20) });
        assert_eq!((after.opening.balance, after.closing.balance, after.lines), (Points(70), Points(77), 1));
    }
}
