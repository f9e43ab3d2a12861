//! Which members a model is learned from when there are very many.

use crate::domain::ids::MemberId;

/// All members of a chain, or about [`Sample::SIZE`] of them: always the same ones, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    members: u64,
}

impl Sample {
    /// More would say the same: four numbers are known to a percent by then.
    pub const SIZE: u64 = 100_000;

    /// Of a chain with so many members.
    pub const fn of(members: u64) -> Self {
        Self { members }
    }

    /// Whether this member is in it.
    pub fn takes(self, member: MemberId) -> bool {
        if self.members <= Self::SIZE {
            return true;
        }
        // A place between 0 and all of them that says nothing about when they came.
        let place = (u128::from(scattered(member.ulid().0)) * u128::from(self.members)) >> u64::BITS;
        place < u128::from(Self::SIZE)
    }
}

/// SplitMix64's last step: ids that are close together end up far apart.
fn scattered(id: u128) -> u64 {
    let mut bits = (id ^ (id >> 64)) as u64;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn taken(sample: Sample, ids: impl Iterator<Item = u128>) -> usize {
        ids.filter(|id| sample.takes(MemberId::new(Ulid(*id)))).count()
    }

    #[test]
    fn few_are_all_taken_and_of_many_a_share_from_every_time() {
        assert_eq!(taken(Sample::of(Sample::SIZE), 0..1_000), 1_000);
        let quarter = Sample::of(4 * Sample::SIZE);
        for ids in [0..10_000_u128, 1 << 120..(1 << 120) + 10_000] {
            let found = taken(quarter, ids);
            assert!(found.abs_diff(2_500) < 200, "{found}");
        }
        let by_time = taken(quarter, (0..10_000).map(|n| n << 80));
        assert!(by_time.abs_diff(2_500) < 200, "{by_time}");
    }
}
