//! What of redemptions lies on the [desk](crate::domain::desk) of one decision.

use std::collections::{BTreeMap, BTreeSet};

use super::Redemption;
use crate::domain::ids::RedemptionId;
use crate::domain::text::Name;

/// What a decision needs to know of redemptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// These, which the member carries, so that they are there.
    pub carried: BTreeSet<RedemptionId>,
    /// These, which somebody named.
    pub named: BTreeSet<RedemptionId>,
    /// How many of these rewards are taken.
    pub stock: BTreeSet<Name>,
}

impl Wanted {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.carried.is_empty() && self.named.is_empty() && self.stock.is_empty()
    }

    /// Wants that, too.
    pub fn add(&mut self, other: Self) {
        self.carried.extend(other.carried);
        self.named.extend(other.named);
        self.stock.extend(other.stock);
    }
}

/// The desk. What was asked for and is not there is laid down as `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desk {
    /// Redemptions, as they stand by now.
    pub known: BTreeMap<RedemptionId, Option<Redemption>>,
    /// How many of each reward are taken by now.
    pub taken: BTreeMap<Name, u32>,
    /// What this decision made or changed.
    touched: BTreeSet<RedemptionId>,
    /// How it moved stock, in order.
    moved: Vec<StockMove>,
}

/// What a decision did with redemptions; written with everything else it changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RedemptionChanges {
    /// Redemptions of the member after it. The member's version is their fence.
    pub made: Vec<Redemption>,
    /// How the stock of rewards moves.
    pub stock: Vec<StockMove>,
}

/// A move of a reward's stock. Moves of different decisions do not disturb each other: a take holds while there is one
/// left to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMove {
    /// Of which reward.
    pub reward: Name,
    /// Which way.
    pub way: StockWay,
}

/// Which way stock moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockWay {
    /// One less is left of so many.
    Take {
        /// The stock of the program that decided.
        of: u32,
    },
    /// One more is left.
    GiveBack,
}

impl Desk {
    /// Whether nothing lies there, and nothing was done.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.taken.is_empty() && self.touched.is_empty() && self.moved.is_empty()
    }

    /// Keeps a redemption as it is now.
    pub fn keep(&mut self, redemption: Redemption) {
        self.touched.insert(redemption.id);
        self.known.insert(redemption.id, Some(redemption));
    }

    /// Moves the stock of a reward.
    pub fn move_stock(&mut self, reward: Name, way: StockWay) {
        // Whoever only gives back need not know how many are taken.
        if let Some(taken) = self.taken.get_mut(&reward) {
            *taken = match way {
                StockWay::Take { .. } => taken.saturating_add(1),
                StockWay::GiveBack => taken.saturating_sub(1),
            };
        }
        self.moved.push(StockMove { reward, way });
    }

    /// What was changed.
    pub fn into_changes(mut self) -> RedemptionChanges {
        let made = self.touched.iter().filter_map(|id| self.known.remove(id).flatten()).collect();
        RedemptionChanges { made, stock: self.moved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_moves_where_it_is_known_and_every_move_is_written() {
        let [mug, hat] = ["mug", "hat"].map(|text| Name::parse(text).unwrap());
        let mut desk = Desk { taken: BTreeMap::from([(mug.clone(), 3)]), ..Desk::default() };
        let take = StockWay::Take { of: 9 };
        desk.move_stock(mug.clone(), take);
        assert_eq!(desk.taken[&mug], 4);
        desk.move_stock(mug.clone(), StockWay::GiveBack);
        desk.move_stock(mug.clone(), StockWay::GiveBack);
        desk.move_stock(hat.clone(), StockWay::GiveBack);
        assert_eq!(desk.taken, BTreeMap::from([(mug.clone(), 2)]));
        let ways = desk.into_changes().stock.into_iter().map(|moved| (moved.reward, moved.way));
        let back = |reward: &Name| (reward.clone(), StockWay::GiveBack);
        assert_eq!(ways.collect::<Vec<_>>(), [(mug.clone(), take), back(&mug), back(&mug), back(&hat)]);
    }
}
