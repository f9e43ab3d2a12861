//! Exact shares: what is left of something of which parts were given back.

use rust_decimal::Decimal;

/// A part of a whole, exact. Between nothing and everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    part: u128,
    of: u128,
}

/// A numerator or denominator has at most so many bits, so that the product of two of them, doubled, fits 128.
const BITS: u32 = 62;

impl Share {
    pub(super) const NOTHING: Self = Self { part: 0, of: 1 };
    pub(super) const ALL: Self = Self { part: 1, of: 1 };

    /// `part` of `of`; nothing of nothing is nothing.
    pub(super) fn new(part: Decimal, of: Decimal) -> Self {
        let (part, of) = (part.normalize(), of.normalize());
        if of <= Decimal::ZERO || part <= Decimal::ZERO {
            return Self::NOTHING;
        }
        if part >= of {
            return Self::ALL;
        }
        let scale = part.scale().max(of.scale());
        let units = |amount: Decimal| {
            let tens = 10_u128.saturating_pow(scale - amount.scale());
            amount.mantissa().unsigned_abs().saturating_mul(tens)
        };
        let (part, of) = (units(part), units(of));
        // Only sums beyond a million times what an amount may be lose their last digits here.
        let surplus = (u128::BITS - of.leading_zeros()).saturating_sub(BITS);
        Self { part: part >> surplus, of: of >> surplus }
    }

    /// What is left of everything without `self` and `other`.
    pub(super) fn rest_beside(self, other: Self) -> Self {
        let of = self.of * other.of;
        let gone = self.part * other.of + other.part * self.of;
        Self { part: of.saturating_sub(gone), of }
    }

    /// This share of `whole`, without the fraction.
    pub(super) fn floor_of(self, whole: u64) -> u64 {
        match self.part.checked_mul(whole.into()) {
            Some(product) => (product / self.of) as u64, // no more than `whole`
            None => self.floor_bit_by_bit(whole),
        }
    }

    /// The same where the product needs more than 128 bits.
    fn floor_bit_by_bit(self, whole: u64) -> u64 {
        let (mut quotient, mut rest) = (0_u64, 0_u128);
        for bit in (0..u64::BITS).rev() {
            quotient *= 2;
            rest *= 2;
            if whole >> bit & 1 == 1 {
                rest += self.part;
            }
            while rest >= self.of {
                rest -= self.of;
                quotient += 1;
            }
        }
        quotient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_share_is_what_long_division_says(part in 0_u64..1 << 40, of in 1_u64..1 << 40, whole in 0_u64..1 << 40) {
            let share = Share::new(part.into(), of.into());
            let exact = u128::from(part.min(of)) * u128::from(whole) / u128::from(of);
            prop_assert_eq!(u128::from(share.floor_of(whole)), exact);
            prop_assert_eq!(u128::from(share.floor_bit_by_bit(whole)), exact);
        }

        #[test]
        fn nothing_panics_and_no_share_exceeds_the_whole(
            a in any::<u64>(), t in any::<u64>(), w in any::<u128>(), s in any::<u128>(), scale in 0..7_u32, whole in 0..1_u64 << 40,
        ) {
            let decimal = |n: u128, scale| Decimal::from_i128_with_scale((n >> 33) as i128, scale);
            let rest = Share::new(a.into(), t.into()).rest_beside(Share::new(decimal(w, scale), decimal(s, 0)));
            prop_assert!(rest.floor_of(whole) <= whole);
        }
    }
}
