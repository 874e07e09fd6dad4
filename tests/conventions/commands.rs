//! Commands as a document shows them, checked against what the program says of itself.

use std::process::Command;

/// The `coffer …` commands of a Markdown text: lines of code blocks and spans of code, each as words
/// behind `coffer`, up to a pipe, a redirection or a comment.
pub(crate) fn shown(markdown: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in markdown.replace("\\\n", " ").lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            commands.extend(line.split("&&").filter_map(command));
        } else {
            commands.extend(line.split('`').skip(1).step_by(2).filter_map(command));
        }
    }
    commands
}

fn command(text: &str) -> Option<Vec<String>> {
    let mut words = text.split_whitespace().skip_while(|word| {
        let assignment = word
            .split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|it| it.is_ascii_uppercase() || it == '_'));
        assignment || matches!(*word, "$" | "#" | "sudo" | "exec")
    });
    if words.next().is_none_or(|word| word.rsplit('/').next() != Some("coffer")) {
        return None;
    }
    let ends = |word: &&str| !word.starts_with(['|', '>', '<', '#', ';', '&']);
    Some(words.take_while(ends).map(|word| word.trim_end_matches(';').to_owned()).collect())
}

/// Why this command would not be understood; `None`: it would. `help` gives the program's help for the
/// subcommands so far.
pub(crate) fn fault(words: &[String], help: impl Fn(&[&str]) -> String) -> Option<String> {
    let mut at: Vec<&str> = Vec::new();
    let mut text = help(&at);
    let mut value_follows = false;
    let mut arguments = false;
    for word in words {
        if std::mem::take(&mut value_follows) {
            continue;
        }
        if let Some(flag) = word.strip_prefix("--") {
            if flag.is_empty() {
                return None;
            }
            let (flag, value) = flag.split_once('=').map_or((flag, None), |(a, b)| (a, Some(b)));
            match takes_value(&text, flag) {
                None => return Some(format!("`coffer {}` has no --{flag}", at.join(" "))),
                Some(takes) => value_follows = takes && value.is_none(),
            }
        } else if !arguments && subcommands(&text).contains(&word.as_str()) {
            at.push(word);
            text = help(&at);
        } else {
            let names_one = word.chars().all(|it| it.is_ascii_lowercase() || it == '-');
            if !arguments && names_one && !subcommands(&text).is_empty() {
                return Some(format!("`coffer {}` has no subcommand {word}", at.join(" ")));
            }
            arguments = true;
        }
    }
    None
}

/// Whether the option takes a value; `None`: there is no such option.
fn takes_value(help: &str, flag: &str) -> Option<bool> {
    let option = format!("--{flag}");
    help.lines().map(str::trim_start).filter(|line| line.starts_with('-')).find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != option);
        words.next()?;
        Some(words.next().is_some_and(|word| word.starts_with('<')))
    })
}

/// The names below `Commands:`.
fn subcommands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| line.trim() != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

/// What the built program prints for `coffer … --help`.
pub(crate) fn help(subcommands: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_coffer"))
        .args(subcommands)
        .arg("--help")
        .env_clear()
        .output()
        .expect("the program under test can be started");
    assert!(output.status.success(), "coffer {subcommands:?} --help: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn commands_are_found_in_code_blocks_and_spans() {
    let text = "Run `coffer demo` and `cargo run`.\n```sh\n$ COFFER_URL=x ./coffer serve --config a \\\n  \
                --now # and wait\ncoffer doctor --json | jq . \n cd / && coffer token new;\ncofferdam\n```\n";
    let expected = [
        vec!["demo"],
        vec!["serve", "--config", "a", "--now"],
        vec!["doctor", "--json"],
        vec!["token", "new"],
    ];
    assert_eq!(shown(text), expected);
}

#[test]
fn an_unknown_command_or_option_is_found() {
    let help = |at: &[&str]| match at {
        [] => {
            "Usage\n\nCommands:\n  serve   Serve\n  backup  Make\n          more\n\nOptions:\n      \
               --config <FILE>  Where\n  -h, --help"
        }
        ["backup"] => "Commands:\n  create  Make one\n\nOptions:\n  -j, --json  As JSON",
        ["backup", "create"] => "Arguments:\n  <NAME>\n\nOptions:\n      --wait  Until done",
        _ => "",
    };
    let check = |line: &str| {
        let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        fault(&words, |at| help(at).to_owned())
    };
    for good in
        ["serve", "--config x serve", "--config=x backup --json", "backup create shop --wait"]
    {
        assert_eq!(check(good), None, "{good}");
    }
    for bad in ["server", "serve --now", "backup remove", "backup create --json", "--wait"] {
        assert!(check(bad).is_some(), "{bad}");
    }
}
