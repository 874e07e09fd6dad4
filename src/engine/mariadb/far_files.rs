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

/// The endings of the files that the tool copies from the folder of a database.
const COPIED: [&str; 16] = [
    "frm", "ibd", "isl", "MYD", "MYI", "MAD", "MAI", "MRG", "TRG", "TRN", "ARM", "ARZ", "CSM",
    "CSV", "opt", "par",
];

/// Files in the data directory itself that a person has put there, or that tell a replica from where to replicate.
const OF_SERVER: [&str; 6] = ["pem", "key", "crt", "cnf", "enc", "info"];

/// The server's own among them.
const MADE_AGAIN: [&str; 3] = ["mysql_upgrade_info", "mariadb_upgrade_info", "multi-master.info"];

/// The first bytes of a table's definition: of any table, and that its engine is MEMORY or FEDERATED.
const DEFINITION: [u8; 2] = [0xfe, 0x01];
const MEMORY: u8 = 6;
const FEDERATED: u8 = 18;

/// Puts all files of tables into `staging`, the copy of `datadir`: InnoDB's are there already, without the paths; those
/// of linked tables that the tool passed over are copied while the server holds a lock on them. Returns what is missing.
pub(super) fn collect(client: &Client, staging: &Path, datadir: &Path) -> Result<Vec<LeftOut>> {
    let mut left_out = Vec::new();
    for path in files(staging).map_err(|error| EngineError::io("reading", staging, error))? {
        let failed = |error| EngineError::io("reading", &path, error);
        if has_ending(&path, LINK_FILE) {
            fs::remove_file(&path).map_err(failed)?;
        } else {
            left_out.extend(without_rows(&path).map_err(failed)?);
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

/// What a copy of this data directory would not hold.
pub(super) fn foretold(datadir: &Path) -> Result<Vec<LeftOut>> {
    let mut left_out = Vec::new();
    for path in files(datadir).map_err(|error| EngineError::io("reading", datadir, error))? {
        // A table that was dropped meanwhile is no fault.
        left_out.extend(without_rows(&path).unwrap_or_default());
    }
    left_out.extend(passed_over(&others(datadir)?, datadir, |_| false));
    Ok(left_out)
}

/// The files of a data directory that may be in no copy, by their paths below it.
pub(super) fn others(datadir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| EngineError::io("reading", datadir, error);
    let mut found = files(datadir).map_err(failed)?;
    for entry in fs::read_dir(datadir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if OF_SERVER.iter().any(|ending| has_ending(&path, ending))
            && !MADE_AGAIN.contains(&name.as_ref())
        {
            found.push(path);
        }
    }
    Ok(found
        .into_iter()
        .filter_map(|it| it.strip_prefix(datadir).ok().map(Path::to_owned))
        .collect())
}

/// Those of `others` that are still there and not in the copy. A table's file may come into the copy only when that is
/// prepared.
pub(super) fn passed_over(
    others: &[PathBuf],
    datadir: &Path,
    is_copied: impl Fn(&Path) -> bool,
) -> Vec<LeftOut> {
    let is_of_table = |path: &Path| {
        let is_temporary =
            path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"#sql"));
        is_temporary || COPIED.iter().any(|ending| has_ending(path, ending))
    };
    let missing =
        others.iter().filter(|it| !is_of_table(it) && !is_copied(it) && datadir.join(it).exists());
    let why = "mariadb-backup copies no files of its kind: keep a copy of it";
    missing.map(|it| LeftOut::new(format!("the file {}", it.display()), why)).collect()
}

/// The table of this definition, if its rows are in no file beside it.
fn without_rows(definition: &Path) -> io::Result<Option<LeftOut>> {
    if !has_ending(definition, "frm") {
        return Ok(None);
    }
    let mut head = Vec::new();
    File::open(definition)?.take(4).read_to_end(&mut head)?;
    let why = match head.get(3) {
        Some(&MEMORY) => "a MEMORY table has no file: a restart would empty it too",
        Some(&FEDERATED) => "FEDERATED keeps them on another server",
        _ => return Ok(None),
    };
    let is_table = head.starts_with(&DEFINITION);
    Ok(is_table.then(|| LeftOut::new(format!("the rows of {}", shown(definition)), why)))
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
