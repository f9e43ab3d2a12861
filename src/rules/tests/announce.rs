//! What happens to no guest, and the triggers that see it.

use super::*;
use crate::rules::testing;

/// What the tests of this folder say, together with a test of this body.
fn failures(trigger: &str, body: &str) -> Vec<String> {
    let sources = sources(&format!("{trigger}\ntest \"t\" {{ {body} }}"));
    let program = Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let outcomes = testing::run(&program, &sources, &chain());
    outcomes.into_iter().filter_map(|outcome| outcome.failure).map(|failure| failure.message).collect()
}

#[test]
fn a_trigger_reads_what_came_and_sees_no_member() {
    let trigger = r#"trigger "Dear" on menu_item.updated
        when event.data.price > 14.20 && event.data.tags.contains("new") && event.data.size.unit == "ml"
        { forward("crm"); }"#;
    let dear = r#"#{ price: 14.50, tags: ["new"], size: #{ unit: "ml" } }"#;
    for (body, wanted) in [
        (
            format!(
                r#"send("menu_item.updated", {dear}); expect forwarded("crm") && told("menu_item.updated");"#
            ),
            true,
        ),
        (format!(r#"send("menu_item.created", {dear}); expect forwarded("crm");"#), false),
        (
            format!(
                r#"send("menu_item.updated", {}); expect forwarded("crm");"#,
                dear.replace("14.50", "14.00")
            ),
            false,
        ),
    ] {
        assert_eq!(failures(trigger, &body).is_empty(), wanted, "{body}");
    }
}

#[test]
fn a_field_that_is_not_there_is_neither_above_nor_below_anything() {
    for (condition, holds) in [
        ("event.data.price > 5", false),
        ("event.data.price < 5", false),
        ("event.data.price == 5", false),
        ("event.data.price != 5", true),
        ("\"price\" in event.data", false),
        ("\"name\" in event.data", true),
        ("event.data[\"name\"] == \"Bowl\"", true),
    ] {
        let trigger = format!("trigger \"t\" on experience.deleted when {condition} {{ forward(\"crm\"); }}");
        let body = "send(\"experience.deleted\", #{ name: \"Bowl\" }); expect forwarded(\"crm\");";
        assert_eq!(failures(&trigger, body).is_empty(), holds, "{condition}");
    }
}

#[test]
fn rules_and_triggers_see_who_a_member_is() {
    let rules = r#"
        rule "Complete" on member.updated
        when member.first_name != "" && member.attribute("shoe") > 38 && member.consents_to("sms")
        { award(50, "Thanks"); }
        trigger "New day" on member.updated when event.changed.contains("birthdate") { forward("crm"); }"#;
    let ana = r#"#{ first_name: "Ana", attributes: #{ shoe: 38.5 }, consents: #{ sms: true } }"#;
    for (body, wanted) in [
        (format!(r#"send("member.updated", {ana}); expect points() == 50 && !forwarded("crm");"#), true),
        (r#"send("member.updated", #{ birthdate: "1990-02-28" }); expect points() == 0 && forwarded("crm");"#.to_owned(), true),
        (r#"send("member.updated", #{ first_name: "Ana" }); expect points() == 50;"#.to_owned(), false),
    ] {
        assert_eq!(failures(rules, &body).is_empty(), wanted, "{body}: {:?}", failures(rules, &body));
    }
}
