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

/// [`or_list`] of names with dots: where some have a part in common with what was given, only those.
pub(super) fn or_family<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    let lower = given.to_lowercase();
    let shared: Vec<&str> = lower.split(['.', '_']).filter(|part| part.len() > 3).collect();
    let is_kin =
        |name: &&str| name.split(['.', '_']).any(|part| shared.iter().any(|begin| part.starts_with(begin)));
    let kin: Vec<&str> = known.clone().into_iter().filter(is_kin).collect();
    match kin.is_empty() {
        true => or_list(given, known),
        false => did_you_mean(given, known).or_else(|| or_list(given, kin)),
    }
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

    #[test]
    fn of_many_names_those_that_share_a_part_are_told() {
        let known = ["order.completed", "order.refunded", "member.birthday", "visit"];
        let told = |given| or_family(given, known).unwrap();
        assert_eq!(told("order.complete"), "did you mean `order.completed`?");
        assert_eq!(told("birthday"), "there is `member.birthday`");
        assert_eq!(told("refund"), "there is `order.refunded`");
        assert_eq!(told("order.paid"), "there is `order.completed`, `order.refunded`");
        assert_eq!(told("daily"), "there is `order.completed`, `order.refunded`, `member.birthday`, `visit`");
    }
}
