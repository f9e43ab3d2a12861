//! Whom a member has absorbed, and what was spent of theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::MemberId;
use crate::domain::money::Points;
use crate::domain::text::Name;

/// Members whom one has absorbed; most have nobody.
///
/// In one wallet the points of all are one balance. What is spent of it is the survivor's own first; what of it was not,
/// is remembered, because whoever leaves does without it and the survivor owes nothing for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Absorbed(Option<Box<Family>>);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Family {
    /// In the order in which they were absorbed.
    ids: Vec<MemberId>,
    /// What was spent of what is theirs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spent: BTreeMap<Name, Points>,
}

impl Absorbed {
    /// Who.
    pub fn ids(&self) -> &[MemberId] {
        self.0.as_ref().map_or(&[], |family| &family.ids)
    }

    /// Who was absorbed after that one, in order.
    pub(super) fn after(&self, id: MemberId) -> impl Iterator<Item = &MemberId> {
        self.ids().iter().skip_while(move |known| **known != id).skip(1)
    }

    /// What was spent of theirs in a wallet.
    pub fn spent(&self, code: &Name) -> Points {
        self.0.as_ref().and_then(|family| family.spent.get(code)).copied().unwrap_or_default()
    }

    /// One more is absorbed, with everybody whom they had absorbed.
    pub(super) fn add(&mut self, id: MemberId, theirs: &Self) {
        let family = self.0.get_or_insert_default();
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

    /// An amount is spent by somebody who has this much of their `own`.
    pub(super) fn spend(&mut self, code: &Name, own: Points, amount: Points) {
        let beyond = amount.0 - own.0.max(0);
        if let Some(family) = self.0.as_mut().filter(|_| beyond > 0) {
            family.spent.entry(code.clone()).or_default().0 += beyond;
        }
    }

    /// So much of what was spent of theirs came back, or would be gone by now anyway.
    pub(super) fn make_up(&mut self, code: &Name, amount: Points) {
        if let Some(family) = &mut self.0
            && let Some(spent) = family.spent.get_mut(code)
        {
            spent.0 -= amount.0.clamp(0, spent.0);
            family.spent.retain(|_, spent| *spent > Points::ZERO);
        }
    }
}
