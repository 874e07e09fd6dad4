//! The manual pages: one for each command, with all its options, and without a fault in their markup.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use coffer::cli::Cli;

/// Writes the pages as the packages do.
fn write_pages(folder: &Path) {
    let mut coffer = Command::new(env!("CARGO_BIN_EXE_coffer"));
    let output = coffer.arg("manual").arg(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// The commands that people see, each with its parents before it.
fn commands(command: &clap::Command, parents: &[String]) -> Vec<(Vec<String>, clap::Command)> {
    let mut name = parents.to_vec();
    name.push(command.get_name().to_owned());
    let subs = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
    let mut all: Vec<_> = subs.flat_map(|it| commands(it, &name)).collect();
    all.push((name, command.clone()));
    all
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let folder = tempfile::tempdir().unwrap();
    write_pages(folder.path());
    let commands = commands(&Cli::command(), &[]);
    for (name, command) in &commands {
        let page = folder.path().join(format!("{}.1", name.join("-")));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|why| panic!("{page:?}: {why}"));
        let about = command.get_about().unwrap().to_string();
        let about = about.replace('-', "\\-").replace('\'', "\\*(Aq");
        assert!(page.contains(about.lines().next().unwrap()), "{name:?}:\n{page}");
        assert!(page.contains("COFFER_CONFIG"), "{name:?} does not name the environment variable");
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            let shown = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&shown), "{name:?} does not have --{option}");
        }
    }
    let pages = folder.path().read_dir().unwrap().count();
    assert_eq!(pages, commands.len(), "a page without a command");
    assert!(pages > 20, "{pages}");
}

#[test]
fn the_pages_are_rendered_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    write_pages(folder.path());
    for page in folder.path().read_dir().unwrap().map(|it| it.unwrap().path()) {
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8"]).arg(&page);
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        let output = man.output().unwrap_or_else(|why| panic!("man, of man-db: {why}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{page:?}: {said}");
        let shown = String::from_utf8_lossy(&output.stdout);
        // In bold, which a terminal gets as a letter, a step back, and the letter again.
        assert!(shown.contains("SEE ALSO") || shown.contains("S\u{8}SE"), "{page:?}: {shown}");
    }
}
