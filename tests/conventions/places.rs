//! How many places a new thing touches, counted by real ones: `src/lib.rs` promises that there are few.

use super::{root, sources};

/// What is known of an archive. A file with all of these is one that a new fact must be added to.
const FACTS: &[&str] = &["source_bytes", "checksum", "verified_at", "verify_level"];

/// The most files of a field: its column, the type, its binding, where it comes from, its key, its value.
const MOST_OF_A_FIELD: usize = 6;

/// The files below `src`, each without its tests.
fn program() -> Vec<(String, String)> {
    let sources = sources().into_iter().filter(|(path, _)| path.starts_with("src"));
    let named = sources.map(|(path, text)| {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        (path.to_string_lossy().into_owned(), code.to_owned())
    });
    let schema = std::fs::read_to_string(root().join("schema.sql")).expect("the schema is text");
    named.chain([("schema.sql".to_owned(), schema)]).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let mut words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.any(|it| it == word)
}

#[test]
fn a_field_of_a_backup_stands_in_at_most_six_files() {
    let program = program();
    let of_every_fact =
        program.iter().filter(|(_, text)| FACTS.iter().all(|it| has_word(text, it)));
    let files: Vec<&str> = of_every_fact.map(|(path, _)| path.as_str()).collect();
    assert!(files.contains(&"src/domain/backup.rs"), "the facts were renamed: {files:?}");
    assert!(files.len() <= MOST_OF_A_FIELD, "{files:#?}");
}

#[test]
fn a_route_stands_in_one_file_of_the_api_and_is_listed_there() {
    let mut routes = Vec::new();
    for (path, text) in program().iter().filter(|(path, _)| path.starts_with("src/api/")) {
        for handler in text.split("#[utoipa::path(").skip(1) {
            let name = handler.split("async fn ").nth(1).and_then(|it| it.split('(').next());
            let name = name.expect("a handler follows its description");
            let mut lists =
                text.split("operations![").skip(1).filter_map(|it| it.split(']').next());
            assert!(lists.any(|it| has_word(it, name)), "{path}: {name} is not listed");
            routes.push(name.to_owned());
        }
    }
    assert!(routes.len() > 20, "the routes were not found: {routes:?}");
    routes.sort();
    let all = routes.len();
    routes.dedup();
    assert_eq!(routes.len(), all, "two handlers have one name");
}

#[test]
fn an_engine_is_a_folder_and_a_line_and_no_other_room_names_it() {
    let engines = root().join("src/engine");
    let list = std::fs::read_to_string(engines.join("mod.rs")).expect("engine/mod.rs is text");
    let program = program();
    let (_, list) = list.split_once("ENGINES").expect("there is a list of engines");
    let names = list.lines().filter_map(|line| line.trim().strip_prefix('&')?.split("::").next());
    let names: Vec<&str> = names.filter(|name| engines.join(name).is_dir()).collect();
    assert!(names.len() >= 5, "the engines were not found: {names:?}");
    for name in names {
        let module = format!("engine::{name}");
        let outside = program
            .iter()
            .filter(|(path, text)| !path.starts_with("src/engine/") && text.contains(&module));
        let others: Vec<&str> = outside.map(|(path, _)| path.as_str()).collect();
        assert_eq!(others, [""; 0], "{name} is named outside of the engines");
    }
}
