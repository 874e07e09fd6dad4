//! Other programs: started, waited for, and found among the processes of the machine.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the command and gives its output; fails the test unless it succeeds.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|reason| panic!("{command:?}: {reason}"));
    assert!(output.status.success(), "{command:?}\n{}", stderr_of(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command wrote to stderr.
pub(crate) fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A script that runs in this folder and fails at the first error.
pub(crate) fn bash(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    command
}

/// Runs such a script; fails the test unless it succeeds.
#[track_caller]
pub(crate) fn run_script(script: &str, folder: &Path) -> String {
    succeed(&mut bash(script, folder))
}

/// By process: the content of this file in its folder of `/proc`.
fn in_proc(file: &str) -> impl Iterator<Item = (u32, Vec<u8>)> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(move |entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some((id, std::fs::read(entry.path().join(file)).unwrap_or_default()))
    })
}

/// Whether these bytes are in a command line of this machine.
pub(crate) fn is_in_a_command_line(bytes: &[u8]) -> bool {
    in_proc("cmdline").any(|(_, line)| contains(&line, bytes))
}

/// Whether these bytes are in an environment of this machine.
pub(crate) fn is_in_an_environment(bytes: &[u8]) -> bool {
    in_proc("environ").any(|(_, text)| contains(&text, bytes))
}

/// Whether `text` contains `part`.
pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|it| it == part)
}

/// The processes whose command line contains all of these words.
pub(crate) fn processes_with(words: &[&str]) -> Vec<u32> {
    let found = in_proc("cmdline").filter(|(_, line)| {
        let line = String::from_utf8_lossy(line).replace('\0', " ");
        // Not the programs that only start it.
        let starts = line.starts_with("setpriv") || line.starts_with("/bin/sh");
        !starts && words.iter().all(|word| line.contains(word))
    });
    found.map(|(id, _)| id).collect()
}

/// The processes that this one has started and that have not ended.
pub(crate) fn children_of(id: u32) -> Vec<String> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().map(str::to_owned));
    }
    found
}
