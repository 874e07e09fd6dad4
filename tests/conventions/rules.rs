//! The list of rules that were taken out of the code: each test that it names is there.

use super::{root, sources};

const LIST: &str = "tests/rooms/policy/rules_left_out.md";

/// The names of tests in a document: words in backticks with a `::`, without what comes before `: `.
fn named_tests(text: &str) -> Vec<&str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans
        .map(|span| span.rsplit(": ").next().unwrap_or(span))
        .filter(|it| it.contains("::"))
        .collect()
}

/// Whether a file in which all modules of this name may be has a function of this name.
fn is_there(name: &str, sources: &[(std::path::PathBuf, String)]) -> bool {
    let (modules, function) = name.rsplit_once("::").unwrap_or_default();
    let head = format!("fn {function}(");
    sources.iter().any(|(path, text)| {
        let path = path.with_extension("");
        let in_path = |module| path.iter().any(|part| part == module);
        modules.split("::").filter(|it| *it != "tests").all(in_path) && text.contains(&head)
    })
}

#[test]
fn the_tests_that_fail_without_a_rule_exist() {
    let text = std::fs::read_to_string(root().join(LIST)).expect("the list is text");
    let named = named_tests(&text);
    assert!(named.len() > 100, "the list was not found: {named:?}");
    let sources = sources();
    let missing: Vec<&str> = named.into_iter().filter(|it| !is_there(it, &sources)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_test_is_found_in_its_own_file_only() {
    assert_eq!(named_tests("| A `b` | `program: a::b` |\n`c::d`"), ["a::b", "c::d"]);
    let file = |path: &str| (path.into(), "#[test]\nfn works() {\n".to_owned());
    let sources = [file("tests/rooms/policy/size.rs")];
    assert!(is_there("policy::size::works", &sources) && is_there("size::tests::works", &sources));
    assert!(
        !is_there("policy::room::works", &sources) && !is_there("policy::size::work", &sources)
    );
}
