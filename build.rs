//! Checks that SQLite is built with the flags of `.cargo/config.toml`. Cargo reads that file only if it is started inside
//! of the checkout, and `cargo install --path` from elsewhere would make a program that fails at its first backup of a
//! SQLite database. A crate has no way to set the flags of another one, so such a build ends with what to type instead.

use std::path::Path;

const VARIABLE: &str = "LIBSQLITE3_FLAGS";
const SETTINGS: &str = ".cargo/config.toml";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed={SETTINGS}");
    let checkout = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let Some(wanted) = wanted(&Path::new(&checkout).join(SETTINGS)) else {
        println!("cargo::error={SETTINGS} does not have the flags that SQLite is built with");
        return;
    };
    let given = std::env::var(VARIABLE).unwrap_or_default();
    let has = |flag: &str| given.split_whitespace().any(|it| it == flag);
    if !wanted.split_whitespace().all(has) {
        println!(
            "cargo::error=SQLite would be built without what Coffer needs of it, because cargo was not started in the \
             checkout. Put the flags before the command: {VARIABLE}=\"{wanted}\" cargo install --path {checkout}"
        );
    }
}

/// The flags in the settings of the checkout.
fn wanted(settings: &Path) -> Option<String> {
    let text = std::fs::read_to_string(settings).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(VARIABLE))?;
    Some(line.split('"').nth(1)?.to_owned())
}
