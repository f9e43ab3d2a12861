//! What the lists, maps and texts of a script weigh: how much memory a copy of them takes.
//!
//! Reading a variable may copy what is in it, search it or make something larger of it. So each such reading counts as
//! more steps, the more it holds: what all steps of a script can copy is then bounded, and with it what it can hold
//! at once, however it grows its values and wherever it keeps them. Nothing else is large: views of members and orders
//! are shared, and what the text of a script spells out is as long as that text.

use std::collections::BTreeMap;

use rhai::{Dynamic, Module, Scope};

/// So many bytes count as one step.
const BYTES_PER_STEP: usize = 512;
/// What an element of a list takes.
const ELEMENT: usize = size_of::<Dynamic>();
/// What an entry of a map takes besides its name: trees are half empty.
const ENTRY: usize = 80;
/// What lies beside an element or entry that holds more than two words.
const BESIDE: usize = 16;

/// What the constants of a program count for; those that are light are left out.
#[derive(Debug, Default)]
pub(super) struct Scales(BTreeMap<Box<str>, u64>);

impl Scales {
    /// Weighs them once and for all.
    pub(super) fn of(constants: &Module) -> Self {
        let weighed = constants.iter_var().map(|(name, value)| (name.into(), in_steps(value)));
        Self(weighed.filter(|(_, steps)| *steps > 0).collect())
    }

    /// What reading a variable counts for besides the step that it is.
    pub(super) fn steps(&self, name: &str, scope: &Scope<'_>) -> u64 {
        match scope.get(name) {
            Some(value) => in_steps(value),
            None => self.0.get(name).copied().unwrap_or_default(),
        }
    }
}

/// What a value counts for besides the step that reading it is.
pub(super) fn in_steps(value: &Dynamic) -> u64 {
    (weight(value) / BYTES_PER_STEP) as u64
}

fn weight(value: &Dynamic) -> usize {
    if value.is_variant() {
        BESIDE
    } else if let Ok(text) = value.as_immutable_string_ref() {
        text.len()
    } else if let Ok(list) = value.as_array_ref() {
        list.iter().map(|value| ELEMENT + weight(value)).sum()
    } else if let Ok(map) = value.as_map_ref() {
        map.iter().map(|(name, value)| ENTRY + name.len() + weight(value)).sum()
    } else if value.is_decimal() {
        BESIDE
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::{Array, Map};
    use rust_decimal::Decimal;

    fn list(values: impl IntoIterator<Item = Dynamic>) -> Dynamic {
        Dynamic::from_array(values.into_iter().collect::<Array>())
    }

    fn map(name: &str, value: Dynamic) -> Dynamic {
        Dynamic::from_map(Map::from([(name.into(), value)]))
    }

    #[test]
    fn values_weigh_what_is_in_them_however_deep_it_lies() {
        for (value, bytes) in [
            (Dynamic::UNIT, 0),
            (7_i64.into(), 0),
            (Dynamic::from(Decimal::ONE), 16),
            ("abc".into(), 3),
            (list([1_i64.into(), "abc".into()]), 2 * 16 + 3),
            (list([list([list([])])]), 2 * 16),
            (map("name", list([true.into()])), 80 + 4 + 16),
            (map(&"k".repeat(1_000), Dynamic::UNIT), 1_080),
        ] {
            assert_eq!(weight(&value), bytes, "{value}");
        }
    }

    #[test]
    fn what_is_light_counts_for_nothing_and_constants_like_variables() {
        let heavy = || list((0..500_i64).map(Dynamic::from));
        let (mut constants, mut scope) = (Module::new(), Scope::new());
        constants.set_var("FEW", list((0..30_i64).map(Dynamic::from)));
        constants.set_var("MANY", heavy());
        scope.push("many", heavy()).push("one", 1_i64);
        let scales = Scales::of(&constants);
        let names = ["FEW", "MANY", "many", "one", "unknown"];
        assert_eq!(names.map(|name| scales.steps(name, &scope)), [0, 15, 15, 0, 0]);
        assert_eq!(scales.0.len(), 1);
    }
}
