//! Whom a member has absorbed, and what they owe themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::MemberId;
use crate::domain::money::Points;
use crate::domain::text::Name;
use crate::domain::wallet::{Wallet, Wallets};

/// Members whom one has absorbed; most have nobody.
///
/// In one wallet the points of all are one balance, so nobody sees who of them is below zero. Whoever absorbed the others
/// keeps that in mind: what they owe is what was taken of their own points though they had less. What they spend beyond
/// their own is no debt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Absorbed(Option<Box<Family>>);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Family {
    ids: Vec<MemberId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    owes: BTreeMap<Name, Points>,
}

impl Absorbed {
    /// Who.
    pub fn ids(&self) -> &[MemberId] {
        self.0.as_ref().map_or(&[], |family| &family.ids)
    }

    /// What the member owes in a wallet.
    pub fn owes(&self, code: &Name) -> Points {
        self.0.as_ref().and_then(|family| family.owes.get(code)).copied().unwrap_or_default()
    }

    /// Whether the member owes anything.
    pub fn is_in_debt(&self) -> bool {
        self.0.as_ref().is_some_and(|family| !family.owes.is_empty())
    }

    /// One more is absorbed, with everybody whom they had absorbed. `wallets` are the survivor's before that.
    pub(super) fn add(&mut self, id: MemberId, theirs: &Self, wallets: &Wallets) {
        let family = self.0.get_or_insert_with(|| {
            let debt = |(code, wallet): (&Name, &Wallet)| (code.clone(), Points(-wallet.balance().0));
            let owes = wallets.iter().map(debt).filter(|(_, owes)| *owes > Points::ZERO).collect();
            Family { ids: Vec::new(), owes }.into()
        });
        family.ids.push(id);
        family.ids.extend(theirs.ids());
    }

    /// One of them is absorbed no longer, nor is whom they had absorbed.
    pub(super) fn remove(&mut self, id: MemberId, theirs: &Self) {
        if let Some(family) = &mut self.0 {
            family.ids.retain(|known| *known != id && !theirs.ids().contains(known));
        }
        self.0.take_if(|family| family.ids.is_empty());
    }

    /// Points were `taken` of the member's own; of all points in the wallet now, this `share` is that of the others.
    pub(super) fn owe(&mut self, wallets: &Wallets, code: &Name, taken: Points, share: Points) {
        let owed = taken.min(shortage(wallets, code, share));
        if let Some(family) = self.0.as_mut().filter(|_| owed > Points::ZERO) {
            family.owes.entry(code.clone()).or_default().0 += owed.0;
        }
    }

    /// What the member has on their own by now, they owe no longer.
    pub(super) fn pay(&mut self, wallets: &Wallets, share: impl Fn(&Name) -> Points) {
        let Some(family) = &mut self.0 else { return };
        family.owes.retain(|code, owes| {
            *owes = (*owes).min(shortage(wallets, code, share(code)));
            *owes > Points::ZERO
        });
    }
}

/// By how much there is less than the share of the others.
fn shortage(wallets: &Wallets, code: &Name, share: Points) -> Points {
    let balance = wallets.get(code).map_or(Points::ZERO, Wallet::balance);
    Points((share.0 - balance.0).max(0))
}
