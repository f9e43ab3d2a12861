//! Scripts that hold as much as they can.

/// As long a list as there can be, nearly.
const LONG: i64 = 490;

/// So many times the same, as arguments or elements.
fn many(times: usize, what: &str) -> String {
    vec![what; times].join(",")
}

/// Statements that make much of little. Each may stand wherever statements may: in a rule, a condition, a test, a transform.
pub(super) fn bodies() -> Vec<String> {
    let list = format!("let l = [{}];", many(LONG as usize, "1"));
    let exact = format!("let l = [{}];", many(LONG as usize, "1.5"));
    let map = "let l = #{}; for i in 0..99 { l[`${i}`] = i; }";
    let wide = "let l = #{}; for i in 0..490 { l[`${i}`] = i; }";
    let text = "let s = \"x\"; for i in 0..10 { s += s; }";
    let longer = "let s = \"x\"; for i in 0..13 { s += s; }";
    let variables = |of: &str| (0..44).map(|n| format!("let v{n} = {of};")).collect::<String>();
    let mut bodies = Vec::new();
    for made in [&*list, &*exact, map, wide] {
        bodies.push(format!("{made} unknown({});", many(2_500, "l")));
        bodies.push(format!("{made} award({});", many(2_500, "l")));
        bodies.push(format!("{made} {}", variables("l")));
        bodies.push(format!("{made} let m = #{{}}; for i in 0..99999 {{ m[`k${{i}}`] = l; }}"));
        bodies.push(format!(
            "{made} let m = #{{ a: #{{ b: #{{}} }} }}; for i in 0..99999 {{ m.a.b[`${{i}}`] = l; }}"
        ));
        bodies.push(format!("{made} let a = [[]]; for i in 0..99999 {{ a[0] += [l]; }}"));
        bodies.push(format!("{made} let a = [[]]; for i in 0..99999 {{ a[0].push(l); }}"));
        let walks = (0..20).map(|n| format!("for x{n} in l {{ ")).collect::<String>();
        bodies.push(format!("{made} {walks} {}", "} ".repeat(20)));
    }
    // A list in each of its elements, and copies of the whole.
    let square = format!("{list} let a = l; for i in 0..490 {{ a[i] = l; }}");
    bodies.push(format!("{square} {}", variables("a")));
    bodies.push(format!("{square} for i in 0..490 {{ for j in 0..490 {{ a[i][j] = l; }} }}"));
    bodies.push(format!("{square} unknown({});", many(2_000, "a")));
    for made in [text, longer] {
        bodies.push(format!("{made} unknown({});", many(1_200, "s + \"x\"")));
        bodies.push(format!("{made} unknown({});", many(1_200, "`${s}`")));
        bodies.push(format!("{made} let m = #{{}}; for i in 0..99999 {{ m[s + `${{i}}`] = 1; }}"));
        // Sizes count no names.
        let named = format!("{made} let m = #{{}}; for i in 0..90 {{ m[s + `${{i}}`] = 1; }}");
        bodies.push(format!("{named} {}", variables("m")));
        bodies.push(format!("{named} unknown({});", many(2_000, "m")));
    }
    bodies.push(format!("unknown({});", many(8, &format!("[{}]", many(LONG as usize, "1")))));
    bodies
}

/// Transforms that make much of what they are given.
pub(super) fn transforms() -> Vec<String> {
    ["body.to_string()", "`${body}`", "body.to_map()", "body.data.items", "body.data.items.to_string()"]
        .map(|what| format!("unknown({}); #{{}}", many(8_000 / (what.len() + 1), what)))
        .to_vec()
}

/// Functions that hold much at each level, and call themselves.
pub(super) fn files() -> Vec<(String, String)> {
    let parameters: String = (0..20).map(|n| format!("p{n},")).collect();
    let nested = |levels: usize, inner: &str| {
        let arguments = format!("many({},", many(19, "l"));
        format!("{}{inner}{}", arguments.repeat(levels), ")".repeat(levels))
    };
    let variables: String = (0..40).map(|n| format!("let v{n} = l;")).collect();
    let kinds = [("1", "whole numbers"), ("1.5", "amounts"), ("\"abc\"", "texts")];
    let held = kinds.into_iter().map(|(element, name)| {
        let list = many(LONG as usize, element);
        let (again, begin) = (nested(6, "again(l)"), nested(10, "again(l)"));
        let text = format!(
            "const LIST = [{list}];\nfn many({parameters}) {{ 1 }}\nfn again(l) {{ {variables} {again} }}\n\
                 rule \"hostile\" on visit {{ let l = LIST; {begin}; }}\n"
        );
        (format!("{name} at every level"), text)
    });
    let given = format!(
        "rule \"hostile\" on visit {{ {} }}\ntest \"hostile\" {{ for i in 0..1000 {{ send(\"visit\"); }} }}\n",
        "assign_coupon(\"heavy\");".repeat(95)
    );
    held.chain([("coupons without end".to_owned(), given)]).collect()
}
