//! Which public keys a decryption was tried with, in `tested-keys`: a line for each with the time.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::folder::{Folder, failed};
use super::layout::Layout;
use crate::domain::Timestamp;
use crate::storage::Result;

pub(super) const TESTED_KEYS: &str = "tested-keys";

/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 1 << 20;

pub(super) fn read(layout: &Layout) -> Result<BTreeMap<String, Timestamp>> {
    let folder = Folder::open_named(&layout.root)?;
    let file = match folder.open_file(TESTED_KEYS.as_ref()) {
        Err(error) if error.is_not_found() => return Ok(BTreeMap::new()),
        opened => opened?,
    };
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(failed("reading", &folder.path_of(TESTED_KEYS)))?;
    let line = |line: &str| {
        let (at, key) = line.split_once(' ')?;
        Some((key.to_owned(), at.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

pub(super) fn write(layout: &Layout, keys: &BTreeMap<String, Timestamp>) -> Result<()> {
    let lines: Vec<String> = keys.iter().map(|(key, at)| format!("{at} {key}\n")).collect();
    let folder = Folder::open_named(&layout.root)?;
    layout.replace_file(&folder, TESTED_KEYS.as_ref(), lines.concat().as_bytes())
}
