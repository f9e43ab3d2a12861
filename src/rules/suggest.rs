//! "Did you mean …?"

/// The known word that `given` most likely stands for, as a sentence; `None` when none comes near.
pub(super) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(given, known).map(|word| format!("did you mean `{word}`?"))
}

/// The known word that `given` most likely stands for.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let distance = |word: &str| strsim::damerau_levenshtein(&given, &word.to_lowercase());
    let nearest = known.into_iter().map(|word| (distance(word), word)).min()?;
    let tolerated = (given.chars().count() / 3).max(1);
    (nearest.0 <= tolerated).then_some(nearest.1)
}

/// [`did_you_mean`], or else the list of what there is.
pub(super) fn or_list<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    did_you_mean(given, known.clone()).or_else(|| {
        let words: Vec<_> = known.into_iter().map(|word| format!("`{word}`")).collect();
        (!words.is_empty()).then(|| format!("there is {}", words.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised_and_strangers_are_not() {
        let known = ["award", "deduct", "set_tier"];
        assert_eq!(did_you_mean("awrd", known).as_deref(), Some("did you mean `award`?"));
        assert_eq!(did_you_mean("Award", known).as_deref(), Some("did you mean `award`?"));
        assert_eq!(did_you_mean("give_coupon", known), None);
        assert_eq!(or_list("x", ["gold"]).as_deref(), Some("there is `gold`"));
        assert_eq!(or_list("x", []), None);
    }
}
