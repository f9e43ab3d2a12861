//! What a store would keep beside the members: orders, coupons, redemptions, referrals. Decisions are made on it where
//! there is no store: by `test` blocks and by backtests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::campaign::{BudgetMove, Pot, Taken, Way};
use crate::domain::chain::ChainId;
use crate::domain::claim::Claim;
use crate::domain::commit::{Commit, CouponsMove};
use crate::domain::coupon::{
    self, Card, Coupon, CouponBook, CouponChanges, CouponCode, Holding, Shelf, Tally, Usage, Worth,
};
use crate::domain::decide::Undecided;
use crate::domain::desk::{Desk, Wanted};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CouponBookKey, CouponUsageKey, MemberId, RedemptionId, ReferralId};
use crate::domain::member::Member;
use crate::domain::order::OrderRecord;
use crate::domain::redemption::Redemption;
use crate::domain::referral::{Filed, ReferralCode, ReferralStatus, Sender};
use crate::domain::refusal::Refused;
use crate::domain::shared::Shared;
use crate::domain::text::Key;

use super::decide::{Case, Decided, decide_and_tell};
use super::program::Program;

/// What is known of things that none of these decisions made. Nothing, unless somebody has looked.
pub trait Elsewhere {
    /// A coupon.
    fn coupon(&mut self, _: &CouponCode) -> Option<Coupon> {
        None
    }

    /// A book that was made over the API.
    fn book(&mut self, _: CouponBookKey) -> Option<CouponBook> {
        None
    }

    /// Who gives this code to others.
    fn sender(&mut self, _: &ReferralCode) -> Option<Sender> {
        None
    }

    /// How a referral is filed.
    fn referral(&mut self, _: ReferralId) -> Option<Filed> {
        None
    }

    /// The order that somebody claims with this code.
    fn claim(&mut self, _: &Key) -> Option<Claim> {
        None
    }
}

/// Nothing is known from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nowhere;

impl Elsewhere for Nowhere {}

/// By what a decision is made, besides its case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) program: &'a Program,
    pub(super) chain: &'a ChainId,
    pub(super) endpoints: &'a [Arc<Endpoint>],
}

/// The records.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    orders: BTreeMap<Key, OrderRecord>,
    coupons: BTreeMap<CouponCode, Coupon>,
    holdings: BTreeMap<(MemberId, CouponCode), Holding>,
    tallies: BTreeMap<(MemberId, CouponBookKey), Tally>,
    usages: BTreeMap<CouponUsageKey, Usage>,
    redemptions: BTreeMap<RedemptionId, Redemption>,
    referrals: BTreeMap<ReferralId, Filed>,
    /// What campaigns gave.
    budgets: BTreeMap<Pot, Taken>,
}

impl Records {
    /// What is remembered of an order.
    pub(super) fn order(&self, id: &Key) -> Option<OrderRecord> {
        self.orders.get(id).cloned()
    }

    /// What was given out of a pot.
    #[cfg(test)]
    pub(super) fn given(&self, pot: &Pot) -> i64 {
        self.budgets.get(pot).map_or(0, |taken| taken.points)
    }

    /// Decides, with whatever is wanted on the desk.
    pub(super) fn decide(
        &mut self,
        setting: Setting<'_>,
        mut case: Case,
        elsewhere: &mut dyn Elsewhere,
    ) -> Result<Decided, Refused> {
        let Setting { program, chain, endpoints } = setting;
        loop {
            match decide_and_tell(program, chain, endpoints, case.clone()) {
                Ok(decided) => return Ok(decided),
                Err(Undecided::Refused(refused)) => return Err(refused),
                Err(Undecided::Lacks(wanted)) => self.lay_out(&wanted, &mut case, elsewhere),
            }
        }
    }

    fn lay_out(&mut self, wanted: &Wanted, case: &mut Case, elsewhere: &mut dyn Elsewhere) {
        let Case { member, desk, now, .. } = case;
        self.lay_out_coupons(&wanted.coupons, member, &mut desk.coupons, elsewhere);
        for (book, count) in &wanted.coupons.books {
            // Whoever got a code gets one: there are always some.
            let made = self.coupons.len();
            let code = |n| CouponCode::generated(&book.ulid().to_bytes(), (made + n) as u64);
            let free: Vec<_> = (0..*count).map(code).collect();
            free.iter().for_each(|code| desk.coupons.lay(Coupon::fresh(code.clone(), *book, *now)));
            desk.coupons.shelves.entry(*book).or_default().free = free;
        }
        self.lay_out_others(wanted, desk, elsewhere);
    }

    fn lay_out_others(&self, wanted: &Wanted, desk: &mut Desk, elsewhere: &mut dyn Elsewhere) {
        desk.senders.extend(wanted.senders.iter().map(|code| (code.clone(), elsewhere.sender(code))));
        for id in &wanted.referrals {
            // Whatever became of it later: who asks for the first time has it approved just now.
            let as_of_then = |filed| Filed { status: ReferralStatus::Approved, reward: None, ..filed };
            let filed = self.referrals.get(id).cloned();
            desk.referrals.insert(*id, filed.or_else(|| elsewhere.referral(*id).map(as_of_then)));
        }
        for pot in &wanted.campaigns {
            let taken = self.budgets.get(pot).copied().unwrap_or_default();
            desk.campaigns.known.insert(pot.clone(), taken);
        }
        let redemptions = &wanted.redemptions;
        for id in redemptions.carried.union(&redemptions.named) {
            desk.redemptions.known.insert(*id, self.redemptions.get(id).cloned());
        }
        for reward in &redemptions.stock {
            let taken = self.redemptions.values().filter(|made| made.takes_of(reward)).count();
            desk.redemptions.taken.insert(reward.clone(), u32::try_from(taken).unwrap_or(u32::MAX));
        }
    }

    fn lay_out_coupons(
        &mut self,
        wanted: &coupon::Wanted,
        member: &Shared<Member>,
        desk: &mut coupon::Desk,
        elsewhere: &mut dyn Elsewhere,
    ) {
        for code in &wanted.codes {
            if !self.coupons.contains_key(code)
                && let Some(coupon) = elsewhere.coupon(code)
            {
                self.learn(coupon, member.id);
            }
            desk.cards.insert(code.clone(), self.card(code, member));
        }
        for book in wanted.held.keys() {
            let held = self.holdings.keys().filter(|(whose, _)| *whose == member.id);
            for card in held.filter_map(|(_, code)| self.card(code, member)) {
                if card.coupon.book == *book {
                    desk.cards.entry(card.coupon.code.clone()).or_insert(Some(card));
                }
            }
            desk.held.insert(*book);
        }
        for key in &wanted.usages {
            let usage = self.usages.get(key).cloned();
            desk.usages
                .insert(*key, usage.map(|usage| Usage { member: living(member, usage.member), ..usage }));
        }
        let books = desk.cards.values().flatten().map(|card| card.coupon.book);
        let books: BTreeSet<_> =
            books.chain(wanted.books.keys().chain(wanted.held.keys()).copied()).collect();
        for book in books {
            let tally = self.tallies.get(&(member.id, book)).copied().unwrap_or_default();
            desk.shelves.entry(book).or_insert_with(|| Shelf::of(elsewhere.book(book), tally));
        }
    }

    /// How many coupons of a book the member could use.
    pub(super) fn held(&mut self, book: &CouponBook, member: &Shared<Member>, now: Timestamp) -> usize {
        let wanted = coupon::Wanted { held: [(book.key, now)].into(), ..coupon::Wanted::default() };
        let mut desk = coupon::Desk::default();
        self.lay_out_coupons(&wanted, member, &mut desk, &mut Nowhere);
        desk.count_held(book, member.id, now)
    }

    /// Takes over a coupon that nobody here made. Of a book whose coupons the member was given here under other codes,
    /// it is one of those: what a tick gave had a code that cannot be made again.
    fn learn(&mut self, coupon: Coupon, member: MemberId) {
        let unused = |(whose, code): &(MemberId, CouponCode), held: &Holding| {
            *whose == member
                && held.assigned > 0
                && held.used == 0
                && self.coupons.get(code).is_some_and(|known| known.book == coupon.book)
        };
        let twin = self.holdings.iter().find(|(key, held)| unused(key, held)).map(|(key, _)| key.clone());
        let Some((_, twin)) = twin else {
            let fresh = Coupon::fresh(coupon.code.clone(), coupon.book, coupon.created_at);
            let coupon = Coupon { expires_at: coupon.expires_at, ..fresh };
            self.coupons.insert(coupon.code.clone(), coupon);
            return;
        };
        if let Some(holding) = self.holdings.remove(&(member, twin.clone())) {
            self.holdings.insert((member, coupon.code.clone()), holding);
        }
        if let Some(known) = self.coupons.remove(&twin) {
            self.coupons.insert(coupon.code.clone(), Coupon { code: coupon.code, ..known });
        }
    }

    fn card(&self, code: &CouponCode, member: &Member) -> Option<Card> {
        let mut coupon = self.coupons.get(code).cloned()?;
        coupon.reservations.iter_mut().for_each(|kept| kept.member = living(member, kept.member));
        let holding = self.holdings.get(&(member.id, code.clone())).copied().unwrap_or_default();
        Some(Card { coupon, holding })
    }

    /// What the store would keep of a commit.
    pub(super) fn keep(&mut self, commit: &Commit) {
        if let Some(order) = &commit.order {
            self.orders.insert(order.order_id.clone(), order.clone().at_version(order.version + 1));
        }
        if let Some(member) = &commit.member {
            self.keep_coupons(member.id, &commit.coupons);
        }
        if let Some(CouponsMove::Join { from, to }) = commit.people.coupons {
            self.join_coupons(from, to);
        }
        let made = &commit.redemptions.made;
        self.redemptions.extend(made.iter().map(|redemption| (redemption.id, redemption.clone())));
        for BudgetMove { pot, points, way } in &commit.budgets {
            let taken = self.budgets.entry(pot.clone()).or_default();
            match way {
                Way::Take | Way::TakeUpTo(_) => taken.points += points,
                Way::TakeTheLast(of) => *taken = Taken { points: of.0, told: of.0 },
                Way::GiveBack => taken.points = (taken.points - points).max(0),
            }
        }
        if let Some((id, reward)) = &commit.referral_reward {
            let nameless = || Filed {
                status: ReferralStatus::Approved,
                reward: None,
                sender_id: Default::default(),
                receiver_id: Default::default(),
            };
            self.referrals.entry(*id).or_insert_with(nameless).reward = Some(reward.clone());
        }
    }

    /// What the store would keep of what a member did with coupons.
    pub(super) fn keep_coupons(&mut self, member: MemberId, changes: &CouponChanges) {
        for Card { coupon, holding } in &changes.cards {
            let stored = Coupon { version: coupon.version + 1, ..coupon.clone() };
            self.coupons.insert(coupon.code.clone(), stored);
            self.holdings.insert((member, coupon.code.clone()), *holding);
        }
        self.tallies.extend(changes.tallies.iter().map(|(book, tally)| ((member, *book), *tally)));
        self.usages.extend(changes.usages.iter().map(|usage| (usage.key, usage.clone())));
    }

    /// Nobody has any coupons.
    pub(super) fn forget_coupons(&mut self) {
        self.coupons.clear();
        self.holdings.clear();
        self.tallies.clear();
        self.usages.clear();
    }

    /// What one member has of coupons counts as another one's, too.
    fn join_coupons(&mut self, from: MemberId, to: MemberId) {
        let theirs: Vec<_> = self.holdings.iter().filter(|((whose, _), _)| *whose == from).collect();
        let theirs: Vec<_> = theirs.into_iter().map(|((_, code), held)| (code.clone(), *held)).collect();
        for (code, held) in theirs {
            let own = self.holdings.entry((to, code)).or_default();
            own.assigned += held.assigned;
            own.used += held.used;
            own.expires_at = own.expires_at.max(held.expires_at);
            own.worth = if own.worth == Worth::Nothing { held.worth } else { own.worth };
        }
        let theirs: Vec<_> = self.tallies.iter().filter(|((whose, _), _)| *whose == from).collect();
        let theirs: Vec<_> = theirs.into_iter().map(|((_, book), tally)| (*book, *tally)).collect();
        for (book, tally) in theirs {
            let own = self.tallies.entry((to, book)).or_default();
            own.assigned += tally.assigned;
            own.used += tally.used;
        }
    }
}

/// Who answers for somebody, as far as the member does.
fn living(member: &Member, whose: MemberId) -> MemberId {
    if member.answers_for(whose) { member.id } else { whose }
}
