//! The stairs of the house go one way: `src/lib.rs` lists which room may name which, and this test holds the
//! source to that list. Files of a room do not need each other in circles.

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/lexer.rs"]
mod lexer;
#[path = "layers/scanner.rs"]
mod scanner;
#[path = "layers/stairs.rs"]
mod stairs;

use std::path::{Path, PathBuf};

use circles::{circles, needs};
use scanner::{Source, declared};
use stairs::Stairs;

fn read_folder(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src can be listed") {
        let path = entry.expect("src can be listed").path();
        if path.is_dir() {
            read_folder(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read_folder(&root, &mut files);
    files.sort();
    let mut sources: Vec<Source> = files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a source file is text");
            let file = path.strip_prefix(&root).expect("it was found there");
            Source::new(&file.to_string_lossy(), &text)
        })
        .collect();
    place_modules(&mut sources);
    sources
}

/// Gives files their modules where these are not what the path says, and marks those for tests.
fn place_modules(sources: &mut [Source]) {
    let all: Vec<_> = sources.iter().flat_map(declared).collect();
    for source in sources {
        if let Some(it) = all.iter().find(|it| it.file.as_deref() == Some(&source.file)) {
            source.module.clone_from(&it.module);
        }
        let mut tests = all.iter().filter(|it| it.test_only);
        source.test_only = tests.any(|it| source.module.starts_with(&it.module));
    }
}

fn stairs() -> Stairs {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    Stairs::read(&std::fs::read_to_string(lib).expect("src/lib.rs is text"))
}

#[test]
fn every_room_names_only_the_rooms_below_it() {
    let (stairs, sources) = (stairs(), sources());
    assert!(sources.len() > 20, "the source was not found");
    let broken: Vec<String> = sources.iter().flat_map(|it| stairs.broken_by(it)).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_list_of_rooms_goes_one_way_and_allows_nothing_that_is_not_used() {
    let faults = stairs().faults(&sources());
    assert!(faults.is_empty(), "src/lib.rs:\n{}", faults.join("\n"));
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let sources = sources();
    let needs = needs(&sources);
    let found = circles(&needs);
    assert!(found.is_empty(), "these files need each other: {found:#?}");
}

#[test]
fn a_wrong_list_of_rooms_is_found() {
    let sources = [
        Source::new("api/mod.rs", "use crate::catalog::Catalog;"),
        Source::new("catalog/mod.rs", "fn f() {}"),
        Source::new("domain/mod.rs", "fn f() {}"),
    ];
    let faults = |list: &str| {
        let lines = list.lines().map(|line| format!("//! {}\n", line.trim()));
        Stairs::read(&format!(
            "//! # Rooms\n//!\n//! ```text\n{}//! ```\n",
            lines.collect::<String>()
        ))
        .faults(&sources)
    };
    let sound = "api      HTTP    → catalog\n catalog  rules   →\n domain → ";
    assert_eq!(faults(sound), [""; 0]);
    for (list, fault) in [
        ("api → catalog\n catalog → domain\n domain →", "catalog does not use domain"),
        ("catalog →\n api → catalog\n domain →", "catalog is not below api"),
        ("api → catalog\n catalog →\n attic →\n domain →", "there is no room attic"),
        ("api → catalog attic\n catalog →\n domain →", "attic is not below api"),
    ] {
        assert_eq!(faults(list), [fault], "{list}");
    }
}

#[test]
fn a_circle_is_found_through_re_exports_and_imports() {
    let sources = |files: &[(&str, &str)]| -> Vec<Source> {
        let mut sources: Vec<Source> =
            files.iter().map(|(file, text)| Source::new(file, text)).collect();
        place_modules(&mut sources);
        sources
    };
    let lib = ("lib.rs", "pub mod api; pub mod domain;");
    let module =
        ("api/mod.rs", "mod a; mod b; mod c; pub use a::A; pub use self::b::{B as Other, f};");
    for (a, b, c) in [
        // Plainly, by a re-export, by its other name, by the crate's root, by a function's path.
        ("use super::b::B; pub struct A;", "use super::a::A; pub struct B;", ""),
        ("use super::b::B; pub struct A;", "use super::A; pub struct B;", ""),
        ("use crate::api::Other; pub struct A;", "use super::A; pub struct B;", ""),
        ("fn g() { super::f() }", "fn f() { crate::api::A::new() }", ""),
        ("fn g() { super::b::f() }", "use super::a; fn f() { a::g() }", ""),
        (
            "use super::{b::{self, X}};",
            "pub use super::c::X; fn f() { super::c::h() }",
            "use super::A;",
        ),
        ("use super::c::X;", "use super::A;", "pub struct X; use super::b::B;"),
    ] {
        let sources = sources(&[lib, module, ("api/a.rs", a), ("api/b.rs", b), ("api/c.rs", c)]);
        let needs = needs(&sources);
        let found = circles(&needs);
        assert!(found.len() == 1 && found[0].len() >= 2, "{a} {b} {c}: {found:?}");
    }
    for (a, b) in [
        ("use super::b::B;", "use std::io; use super::super::domain::D; fn f() { io::a() }"),
        ("use super::b::B;", "#[cfg(test)] mod tests { use super::super::a::A; }"),
        ("use super::b::B; // super::c::C", "fn f() { \"super::a::A\" }"),
        ("use super::b::B;", "pub use super::a::A;"),
    ] {
        let sources = sources(&[lib, module, ("api/a.rs", a), ("api/b.rs", b)]);
        assert_eq!(circles(&needs(&sources)), [[""; 0]; 0], "{a} {b}");
    }
}

#[test]
fn a_path_up_the_stairs_is_found_in_every_form() {
    let stairs = stairs();
    for (file, text) in [
        ("api/backups.rs", "use crate::storage::Local;"),
        ("api/backups.rs", "use crate::{catalog::Catalog, domain::{self, Status}, executor};"),
        ("api/backups.rs", "use {crate::store::Store, std::io};"),
        ("api/backups.rs", "fn f() { crate::engine::probe() }"),
        ("api/backups.rs", "use super::super::archive::Index;"),
        ("api/backups.rs", "use super::{super::{store}, routes};"),
        ("api/mod.rs", "pub(in super::store) struct X;"),
        ("api/mod.rs", "mod tests { use super::super::engine::Engine; }"),
        ("api/mod.rs", "mod a { mod b {} use self::super::super::engine as e; }"),
        ("api/mod.rs", "use crate::*;"),
        ("api/mod.rs", "use crate as everything;"),
        ("api/mod.rs", "macro_rules! m { () => { $crate::engine::f() } }"),
        ("api/mod.rs", "#[cfg(test)] mod tests { use crate::engine::Engine; }"),
        ("catalog/mod.rs", "pub use crate::store::StoreError;"),
        ("catalog/mod.rs", "pub(crate) use crate::{domain::Page, store::{self}};"),
        ("domain/mod.rs", "use crate::bell::Bell;"),
        ("attic/mod.rs", "fn f() {}"),
        ("lib.rs", "pub mod api; mod attic;"),
        ("main.rs", "fn main() { coffer::server::run() }"),
        ("storage/mod.rs", "use rusqlite::Connection;"),
        ("catalog/mod.rs", "use actix_web::HttpResponse;"),
        ("api/backups.rs", "fn f() -> u16 { StatusCode::CREATED.as_u16() }"),
        ("api/backups.rs", "#[serde(rename = \"locationRef\")] struct X;"),
        ("catalog/mod.rs", "fn f() -> &str { r#\"{\"swift_container\": 1}\"# }"),
        ("executor/mod.rs", "fn f() { std::fs::remove_file(archive) }"),
    ] {
        assert_eq!(stairs.broken_by(&Source::new(file, text)).len(), 1, "{file}: {text}");
    }
}

#[test]
fn paths_that_the_stairs_allow_are_accepted() {
    let stairs = stairs();
    for (file, text) in [
        (
            "api/mod.rs",
            "use crate::catalog::{self, Catalog as C}; mod x { use super::super::api; }",
        ),
        ("api/mod.rs", "mod a { use super::b; } // crate::store\nfn f() { \"crate::store\"; }"),
        (
            "api/a/b.rs",
            "use super::super::c; use self::d; impl X { fn f(self: &Self) { self.g() } }",
        ),
        ("api/metrics.rs", "fn f(s: StatusCode) { StatusCode::from_u16(1); }"),
        ("api/metrics.rs", "#[cfg(test)] #[x] mod t { use super::{StatusCode}; StatusCode::OK; }"),
        ("catalog/mod.rs", "pub use crate::domain::Page; use crate::store::Store; pub use a::b;"),
        ("wire/backup.rs", "#[serde(rename = \"locationRef\")] struct X;"),
        ("executor/mod.rs", "#[serde(rename = \"x\")] struct X;"),
        ("engine/sqlite/dump.rs", "use rusqlite::Connection;"),
        ("main.rs", "use coffer::cli; fn main() { cli::run() }"),
    ] {
        assert_eq!(stairs.broken_by(&Source::new(file, text)), [""; 0], "{file}: {text}");
    }
}

#[test]
fn a_module_in_a_file_of_another_name_is_placed_where_it_is_declared() {
    let stairs = stairs();
    let mut sources = [
        Source::new(
            "storage/local.rs",
            "#[cfg(test)]\n#[path = \"tests_local.rs\"]\nmod tests; mod x;",
        ),
        Source::new("storage/tests_local.rs", "use super::super::conformance; StatusCode::OK;"),
        Source::new("storage/local/x.rs", "use super::super::super::api;"),
    ];
    place_modules(&mut sources);
    let broken: Vec<usize> = sources.iter().map(|it| stairs.broken_by(it).len()).collect();
    assert_eq!(broken, [0, 0, 1]);
}
