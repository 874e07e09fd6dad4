//! Files of tables that are outside of the data directory, and tables whose rows are in no file.
//!
//! `DATA DIRECTORY` makes InnoDB keep a file with the path of the table's file, and MyISAM and Aria a symbolic link.
//! A restored server would follow both to the original's files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::client::{Client, quoted_name};
use super::mbstream::FILE_MODE;
use crate::domain::LeftOut;
use crate::engine::{EngineError, Result};

/// The files of MyISAM and Aria tables that may be symbolic links.
const LINKED: [&str; 4] = ["MYD", "MYI", "MAD", "MAI"];

/// The file with the path of an InnoDB table's file.
const LINK_FILE: &str = "isl";

/// The first bytes of a table's definition: of any table, and that its engine is MEMORY.
const DEFINITION: [u8; 2] = [0xfe, 0x01];
const MEMORY: u8 = 6;

/// Puts all files of tables into `staging`, the copy of `datadir`: InnoDB's are there already, without the paths; those
/// of linked tables that the tool passed over are copied while the server holds a lock on them. Returns what is missing.
pub(super) fn collect(client: &Client, staging: &Path, datadir: &Path) -> Result<Vec<LeftOut>> {
    let mut left_out = Vec::new();
    for path in files(staging).map_err(|error| EngineError::io("reading", staging, error))? {
        let failed = |error| EngineError::io("reading", &path, error);
        if has_ending(&path, LINK_FILE) {
            fs::remove_file(&path).map_err(failed)?;
        } else if has_ending(&path, "frm") && is_memory(&path).map_err(failed)? {
            let what = format!("the rows of {}", shown(&path));
            left_out.push(LeftOut::new(
                what,
                "a MEMORY table has no file: a restart would empty it too",
            ));
        }
    }
    for table in missing(staging, datadir)? {
        let copied = client.while_locked(&table.lock(), || table.copy(staging, datadir)).and_then(
            |copied| copied.map_err(|error| EngineError::io("copying", &table.path, error)),
        );
        match copied {
            Ok(()) => {}
            Err(EngineError::Cancelled) => return Err(EngineError::Cancelled),
            Err(error) => left_out.push(LeftOut::new(
                format!("the rows of {}", shown(&table.path)),
                format!(
                    "its files are outside of the data directory, and could not be copied: {error}"
                ),
            )),
        }
    }
    Ok(left_out)
}

/// A table, or a partition of one, by its path below the data directory without an ending.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Table {
    path: PathBuf,
}

impl Table {
    /// The statement that writes everything to its files and keeps them as they are.
    fn lock(&self) -> String {
        let [database, table] = names(&self.path);
        format!("FLUSH TABLES {}.{} WITH READ LOCK", quoted_name(&database), quoted_name(&table))
    }

    fn copy(&self, staging: &Path, datadir: &Path) -> io::Result<()> {
        for ending in LINKED {
            let mut file = self.path.clone().into_os_string();
            file.push(".");
            file.push(ending);
            let (from, to) = (datadir.join(&file), staging.join(&file));
            if from.exists() && !to.exists() {
                let mut options = OpenOptions::new();
                let mut to = options.write(true).create_new(true).mode(FILE_MODE).open(to)?;
                io::copy(&mut File::open(from)?, &mut to)?;
            }
        }
        Ok(())
    }
}

/// The tables with linked files that are not in the copy.
fn missing(staging: &Path, datadir: &Path) -> Result<BTreeSet<Table>> {
    let all = files(datadir).map_err(|error| EngineError::io("reading", datadir, error))?;
    let linked =
        all.into_iter().filter(|path| LINKED.iter().any(|ending| has_ending(path, ending)));
    let below = linked
        .filter(|path| path.is_symlink())
        .filter_map(|path| path.strip_prefix(datadir).ok().map(Path::to_owned));
    let absent = below.filter(|path| !staging.join(path).exists());
    Ok(absent.map(|path| Table { path: path.with_extension("") }).collect())
}

/// The files in the folders of the databases.
fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(root)? {
        let folder = folder?.path();
        if !folder.is_dir()
            || folder.file_name() == Some(OsStr::new(super::data_files::NO_DATABASE))
        {
            continue;
        }
        for file in fs::read_dir(folder)? {
            found.push(file?.path());
        }
    }
    Ok(found)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension() == Some(OsStr::new(ending))
}

fn is_memory(definition: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(definition)?.take(4).read_to_end(&mut head)?;
    Ok(head.starts_with(&DEFINITION) && head.get(3) == Some(&MEMORY))
}

/// `shop.orders` for a file of that table.
fn shown(path: &Path) -> String {
    names(&path.with_extension("")).join(".")
}

/// The names of database and table that the last two parts of a path stand for.
fn names(path: &Path) -> [String; 2] {
    let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let table = last(path);
    let table = table.split_once("#P#").map_or(table.as_str(), |(table, _partition)| table);
    [decoded(&path.parent().map(last).unwrap_or_default()), decoded(table)]
}

/// A name from a file name, in which `@` and four digits stand for a character that is not plain.
fn decoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('@') {
        text.push_str(before);
        let code = after.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let letter = code.and_then(char::from_u32);
        text.push(letter.unwrap_or('@'));
        rest = if letter.is_some() { after.get(4..).unwrap_or_default() } else { after };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_a_path_are_those_of_the_server() {
        let path = Path::new("/data/T@00fcr@002dzu/a@002fb#P#p0.MAD");
        assert_eq!(shown(path), "Tür-zu.a/b");
        let table = Table { path: path.with_extension("") };
        assert_eq!(table.lock(), "FLUSH TABLES `Tür-zu`.`a/b` WITH READ LOCK");
        assert_eq!(decoded("a@"), "a@");
    }
}
