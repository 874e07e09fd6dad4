//! Checks that C code is built with the settings of `.cargo/config.toml`: SQLite's flags, and how the allocator gives memory
//! back. Cargo reads that file only if it is started inside of the checkout, and `cargo install --path` from elsewhere would
//! make a program that fails at its first backup of a SQLite database. A crate has no way to set the flags of another one,
//! so such a build ends with what to type instead.

use std::path::Path;

const SETTINGS: &str = ".cargo/config.toml";
/// What each of them is for.
const VARIABLES: [(&str, &str); 2] = [
    ("LIBSQLITE3_FLAGS", "SQLite would be built without what Coffer needs of it"),
    ("JEMALLOC_SYS_WITH_MALLOC_CONF", "the allocator would keep memory that it should give back"),
];

fn main() {
    println!("cargo::rerun-if-changed={SETTINGS}");
    let checkout = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let settings = std::fs::read_to_string(Path::new(&checkout).join(SETTINGS)).unwrap_or_default();
    let (mut missing, mut line) = (None, Vec::new());
    for (variable, else_what) in VARIABLES {
        println!("cargo::rerun-if-env-changed={variable}");
        let Some(wanted) = wanted(&settings, variable) else {
            println!("cargo::error={SETTINGS} does not have {variable}");
            return;
        };
        let given = std::env::var(variable).unwrap_or_default();
        let has = |flag: &str| given.split_whitespace().any(|it| it == flag);
        if !wanted.split_whitespace().all(has) {
            missing = missing.or(Some(else_what));
        }
        line.push(format!("{variable}=\"{wanted}\" "));
    }
    if let Some(else_what) = missing {
        let line = line.concat();
        println!(
            "cargo::error={else_what}, because cargo was not started in the checkout. Put the settings before the \
             command: {line}cargo install --path {checkout}"
        );
    }
}

/// The value of a variable in the settings of the checkout.
fn wanted<'s>(settings: &'s str, variable: &str) -> Option<&'s str> {
    settings.lines().find_map(|line| line.strip_prefix(variable))?.split('"').nth(1)
}
