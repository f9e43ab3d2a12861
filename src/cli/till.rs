//! What a made-up till knows: a menu, amounts, and numbers that look random and are the same in every run.

use std::fmt;

/// What is on the sample chain's menu: name, category, price in cents.
pub(super) const MENU: [(&str, &str, u64); 8] = [
    ("Flat White", "coffee", 450),
    ("Espresso", "coffee", 300),
    ("Power Bowl", "food", 1450),
    ("Avocado Toast", "food", 1100),
    ("Tomato Soup", "food", 850),
    ("Carrot Cake", "dessert", 600),
    ("Orange Juice", "drink", 500),
    ("Salmon Poke", "food", 1650),
];

/// An amount of money in cents; written with its decimals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cents(pub(super) u64);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// SplitMix64: a few cycles a number, and every order can begin its own sequence.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence number `n` of a seed.
    pub(super) fn new(seed: u64, n: u64) -> Self {
        let mut base = Self(seed);
        Self(base.next() ^ n.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // The high half of a product: without the bias of a remainder that would matter here.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}
