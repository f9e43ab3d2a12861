//! docs/api.md: the cookbook, typed as it is printed.

use serde_json::Value;

use super::newcomer::{Newcomer, Page, between};

const API: Page = Page { name: "docs/api.md", text: include_str!("../../docs/api.md") };

#[test]
fn every_recipe_of_the_cookbook_works_as_printed() {
    let mut newcomer = Newcomer::arrives();
    let (engine, welcome) = newcomer.run(&[], "    -d '");
    newcomer.key = between(&welcome, "keep it safe:\n\n", "\n").to_owned();
    let recipes = API.blocks("sh");
    assert!(recipes.len() > 8, "{}", recipes.len());
    let answers = newcomer.asks(&recipes.join("\n"));
    let problems: Vec<_> = answers.iter().filter(|answer| answer.get("action").is_some()).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let has = |wanted: &dyn Fn(&Value) -> bool| answers.iter().any(wanted);
    assert!(has(&|answer| answer["key"] == "ORD-1" && answer["status"] == "processed"), "{answers:#?}");
    assert!(has(&|answer| answer["key"] == "sorry-1" && answer["member"]["points"].is_i64()), "{answers:#?}");
    assert!(has(&|answer| answer["because"]["what"].is_string()), "{answers:#?}");
    assert!(has(&|answer| answer["events"][0]["type"] == "coupon.used"), "{answers:#?}");
    assert!(has(&|answer| answer["dry_run"] == true && answer["matched"].is_u64()), "{answers:#?}");
    engine.stop();
}

/// What the page says of the document.
#[test]
fn the_document_is_printed_and_served_alike() {
    let mut newcomer = Newcomer::arrives();
    let (engine, _) = newcomer.run(&[], "    -d '");
    let both = newcomer.asks("punchcard openapi; curl -s http://127.0.0.1:8080/openapi.json");
    assert!(both.len() == 2 && both[0] == both[1]);
    assert_eq!(both[0]["openapi"], "3.1.1");
    let page = newcomer.types("curl -si http://127.0.0.1:8080/reference");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{}", &page[..1_000]);
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"));
    engine.stop();
}
