//! SQLite is built with the flags that Coffer needs, and a build that would lose them ends with what to type.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::{repository, text_of};

/// What C code is built with.
const VARIABLES: [&str; 2] = ["LIBSQLITE3_FLAGS", "JEMALLOC_SYS_WITH_MALLOC_CONF"];

/// The build script, compiled.
fn build_script(folder: &Path) -> Command {
    let program = folder.join("build-script");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let mut compile = Command::new(rustc);
    compile.args(["--edition", "2024", "-A", "unknown-lints", "-o"]).arg(&program);
    let output = compile.arg(repository().join("build.rs")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut script = Command::new(program);
    script.env("CARGO_MANIFEST_DIR", repository());
    for variable in VARIABLES {
        script.env_remove(variable);
    }
    script
}

fn said_by(script: &mut Command) -> String {
    let output = script.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_build_without_the_flags_ends_with_a_line_that_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = build_script(folder.path());
    let refused = said_by(&mut script);
    let error = refused.lines().find_map(|it| it.strip_prefix("cargo::error=")).expect(&refused);
    let (_, line) = error.split_once("command: ").expect(error);
    let mut given: Vec<(&str, &str)> = Vec::new();
    let mut rest = line;
    for variable in VARIABLES {
        let (name, behind) = rest.split_once("=\"").unwrap();
        let (value, behind) = behind.split_once("\" ").unwrap();
        assert_eq!(name, variable);
        given.push((name, value));
        rest = behind;
    }
    assert_eq!(rest, format!("cargo install --path {}", repository().display()));
    let accepted = said_by(script.envs(given.iter().copied()));
    assert!(!accepted.contains("error"), "{accepted}");
    let (_, without_one) = given[0].1.split_once(' ').unwrap();
    let refused = said_by(script.env(given[0].0, without_one));
    assert!(refused.contains("cargo::error=SQLite"), "{refused}");
    let refused = said_by(script.envs(given.iter().copied()).env_remove(given[1].0));
    assert!(refused.contains("cargo::error=the allocator"), "{refused}");
}

#[test]
fn this_program_was_built_with_all_of_them() {
    let database = Connection::open_in_memory().unwrap();
    let mut options = database.prepare("PRAGMA compile_options").unwrap();
    let options = options.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let options: Vec<String> = options.map(Result::unwrap).collect();
    let settings = text_of(".cargo/config.toml");
    let (_, flags) = settings.split_once("LIBSQLITE3_FLAGS = \"").unwrap();
    for flag in flags.split(['"', '\n']).next().unwrap().split(' ') {
        let (kind, name) = flag.split_at("-D".len());
        let name = name.strip_prefix("SQLITE_").unwrap().to_owned();
        assert_eq!(options.contains(&name), kind == "-D", "{flag}: {options:?}");
    }
}
