//! `coffer manual`: a manual page for each command, made from its definition. Packages are built with it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::error::{CommandError, Result};
use super::{CONFIGURATION, Cli, EXIT_CODES};

#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// The folder to write them into. Pages that are there already are replaced.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(super) fn run(args: &ManualArgs) -> Result<()> {
    let failed = |error| CommandError::Failed(format!("{}: {error}", args.folder.display()));
    fs::create_dir_all(&args.folder).map_err(failed)?;
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    write_pages(&all, None, &args.folder).map_err(failed)
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: &Command, parent: Option<&str>, folder: &Path) -> io::Result<()> {
    let name = page_name(command);
    for sub in shown(command) {
        write_pages(sub, Some(&name), folder)?;
    }
    let path = folder.join(format!("{name}.1"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(&page(command, parent)?)
}

fn page(command: &Command, parent: Option<&str>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let man = Man::new(command.clone())
        // No date; an empty word would be none, and the version would take its place.
        .date("\"\"")
        .source(concat!("Coffer ", env!("CARGO_PKG_VERSION")))
        .manual("Coffer");
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut end = Roff::new();
    end.control("SH", ["EXIT STATUS"]).text([roman(EXIT_CODES.replace('\n', " "))]);
    end.control("SH", ["CONFIGURATION"]).text([roman(CONFIGURATION)]);
    end.control("SH", ["SEE ALSO"]);
    let related = parent.map(ToOwned::to_owned).into_iter().chain(shown(command).map(page_name));
    let mut related: Vec<_> = related.flat_map(|it| [bold(it), roman("(1), ")]).collect();
    related.push(roman("/usr/share/doc/coffer/README.md"));
    end.text(related);
    end.to_writer(&mut text)?;
    Ok(text)
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| !it.is_hide_set())
}
