//! `coffer completions`: what a shell needs to complete commands and options, made from their definitions.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::{Shell, generate};

use super::{Cli, terminal};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell. For bash: coffer completions bash > ~/.local/share/bash-completion/completions/coffer
    #[arg(value_name = "SHELL")]
    shell: KnownShell,
}

/// The shells whose completions are tested.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(args: &CompletionsArgs) {
    let shell = match args.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "coffer", &mut script);
    terminal::say(String::from_utf8_lossy(&script).trim_end());
}
