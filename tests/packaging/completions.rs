//! What `coffer completions` prints, loaded and used by the shells themselves.

use std::path::Path;
use std::process::Command;

use rstest::rstest;

/// In bash, the function that the script registers is called as the shell would.
const BASH: &str = r#"
source "$1"
[[ $(complete -p coffer) == *"-F _coffer coffer" ]] || exit 1
read -ra COMP_WORDS <<<"$2"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_coffer coffer "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

const FISH: &str = r#"source "$argv[1]"; complete -C "$argv[2]" "#;

/// In zsh, a second shell is given a terminal, on which the words and a tab are typed.
const ZSH: &str = r#"
zmodload zsh/zpty || exit 1
zpty shell "zsh -f -i"
zpty -w shell "fpath=(${1:h} \$fpath); autoload -U compinit; compinit -u -D; PS1=''; echo REA''DY"
zpty -r -m shell seen "*READY*"
zpty -w -n shell "$2"$'\t'
zpty -r -m shell seen "*$3*"
print -r -- "$seen"
zpty -d shell
"#;

/// What the shell makes of a line with a word that was begun.
fn completed(shell: &str, line: &str, expected: &str) -> String {
    let coffer = env!("CARGO_BIN_EXE_coffer");
    let script = Command::new(coffer).args(["completions", shell]).output().unwrap();
    assert!(script.status.success() && script.stderr.is_empty(), "{script:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("_coffer");
    write(&file, &script.stdout);
    // A shell that waits for what does not come is ended.
    let mut command = Command::new("timeout");
    command.args(["30", shell]);
    match shell {
        "bash" => command.args(["--norc", "-c", BASH, "bash"]),
        "zsh" => command.args(["-f", "-c", ZSH, "zsh"]),
        _ => command.args(["--no-config", "-c", FISH]),
    };
    command.arg(&file).args([line, expected]).env("HOME", folder.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{shell}, {}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[expect(clippy::disallowed_methods, reason = "a copy in a temporary folder")]
fn write(file: &Path, content: &[u8]) {
    std::fs::write(file, content).unwrap();
}

#[rstest]
fn a_shell_completes_commands_and_options(#[values("bash", "zsh", "fish")] shell: &str) {
    for (line, expected) in [
        ("coffer undel", "undelete"),
        ("coffer catalog reb", "rebuild"),
        ("coffer backup --inc", "--incremental"),
    ] {
        let shown = completed(shell, line, expected);
        assert!(shown.contains(expected), "{shell}: {line}: {shown:?}");
    }
}
