//! The server's backup manifest, compared with what came: it is the last file of a base backup and tells
//! size and CRC-32C of each before it.
//!
//! It is JSON, but with one file a line, and its own checksum on the last; so it is read line by line as it
//! passes, and needs no more memory than a checksum for each file.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// No line of a manifest is longer: a path, a size, a time and a checksum.
const LONGEST_LINE: usize = 64 << 10;

/// The sums of the files that came.
#[derive(Debug, Default)]
pub(super) struct Sums(HashMap<u64, (u64, u32)>);

impl Sums {
    /// A file passed, with this path below the data directory.
    pub(super) fn add(&mut self, path: &[u8], size: u64, crc: u32) {
        self.0.insert(key(path), (size, crc));
    }
}

fn key(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// A file, as a line of the manifest tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FileLine {
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

/// A stretch of WAL that the backup needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct WalRange {
    #[serde(rename = "Timeline")]
    pub(super) timeline: u32,
    #[serde(rename = "Start-LSN")]
    pub(super) start: String,
    #[serde(rename = "End-LSN")]
    pub(super) end: String,
}

/// A manifest as it passes.
#[derive(Debug)]
pub(super) struct Manifest {
    /// What came; `None`: nobody compares.
    sums: Option<Sums>,
    line: Vec<u8>,
    hash: Sha256,
    files: u64,
    wal: Vec<WalRange>,
    own_checksum: Option<bool>,
    wrong: Option<String>,
}

/// What a manifest told, and how it compares.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) files: u64,
    pub(super) wal: Vec<WalRange>,
}

impl Manifest {
    /// To be compared with `sums`.
    pub(super) fn new(sums: Option<Sums>) -> Self {
        Self {
            sums,
            line: Vec::new(),
            hash: Sha256::new(),
            files: 0,
            wal: Vec::new(),
            own_checksum: None,
            wrong: None,
        }
    }

    /// The next piece of it.
    pub(super) fn see(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > LONGEST_LINE {
                self.fault("a line of the backup manifest is too long".to_owned());
                self.line.clear();
                continue;
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.whole_line(&line);
                self.line = line;
                self.line.clear();
            }
        }
    }

    fn whole_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("\"Manifest-Checksum\":") {
            let told = rest.trim().trim_end_matches('}').trim().trim_matches('"');
            let own = hex::encode(self.hash.clone().finalize());
            self.own_checksum = Some(told == own);
            return;
        }
        self.hash.update(line);
        // The first of a list stands behind the list's name, on the same line or not.
        let Some(begin) = text.find("{ \"") else { return };
        let object = text.get(begin..).unwrap_or_default();
        let object = object.trim_end_matches(',').trim_end_matches("],").trim_end_matches(']');
        if object.starts_with("{ \"PostgreSQL-Backup-Manifest-Version\"") {
            return;
        }
        if object.starts_with("{ \"Timeline\"") {
            match serde_json::from_str(object) {
                Ok(range) => self.wal.push(range),
                Err(error) => self.fault(format!("a WAL range of it is not understood: {error}")),
            }
            return;
        }
        match serde_json::from_str(object) {
            Ok(file) => self.file(&file),
            Err(error) => self.fault(format!("a line of it is not understood: {error}")),
        }
    }

    fn file(&mut self, file: &FileLine) {
        self.files += 1;
        let Some(sums) = &mut self.sums else { return };
        let path = match (&file.path, &file.encoded_path) {
            (Some(path), _) => path.as_bytes().to_vec(),
            (None, Some(encoded)) => hex::decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let shown = String::from_utf8_lossy(&path).into_owned();
        let Some((size, crc)) = sums.0.remove(&key(&path)) else {
            return self.fault(format!("{shown} did not come"));
        };
        if size != file.size {
            return self.fault(format!("{shown} came with {size} bytes instead of {}", file.size));
        }
        let told = file.checksum.as_deref().unwrap_or_default();
        if !told.eq_ignore_ascii_case(&hex::encode(crc.to_le_bytes())) {
            self.fault(format!("{shown} has another checksum than the server read"));
        }
    }

    fn fault(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// It has passed to its end. Else what is wrong, with it or with what came.
    pub(super) fn finish(mut self) -> Result<Told, String> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.whole_line(&line);
        }
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        match self.own_checksum {
            Some(true) if self.files > 0 => Ok(Told { files: self.files, wal: self.wal }),
            Some(true) => Err("it names no file".to_owned()),
            Some(false) => Err("its own checksum is wrong".to_owned()),
            None => Err("it does not end with its checksum".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[u8] = b"123456789";

    /// As PostgreSQL writes it.
    fn text() -> String {
        let body = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n\
            { \"Path\": \"global/1\", \"Size\": 9, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", \
            \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" },\n\
            { \"Encoded-Path\": \"ff\", \"Size\": 9, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", \
            \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" }\n],\n\
            \"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n";
        let sum = hex::encode(Sha256::digest(body));
        format!("{body}\"Manifest-Checksum\": \"{sum}\"}}\n")
    }

    fn sums() -> Sums {
        let mut sums = Sums::default();
        for path in [&b"global/1"[..], b"\xff", b"pg_wal/000000010000000000000002"] {
            sums.add(path, 9, crc32c::crc32c(NAMES));
        }
        sums
    }

    fn read(text: &str, sums: Sums, piece: usize) -> Result<Told, String> {
        let mut manifest = Manifest::new(Some(sums));
        text.as_bytes().chunks(piece).for_each(|piece| manifest.see(piece));
        manifest.finish()
    }

    #[test]
    fn files_that_came_as_the_server_read_them_are_in_order() {
        for piece in [1, 7, 100_000] {
            let told = read(&text(), sums(), piece).unwrap();
            assert_eq!((told.files, told.wal.len()), (2, 1));
            assert_eq!((told.wal[0].timeline, told.wal[0].end.as_str()), (1, "0/2000100"));
        }
    }

    #[test]
    fn every_difference_is_found_and_named() {
        let mut missing = sums();
        missing.0.remove(&key(b"global/1"));
        assert!(read(&text(), missing, 50).unwrap_err().contains("global/1 did not come"));
        let mut longer = sums();
        longer.add(b"global/1", 10, crc32c::crc32c(NAMES));
        assert!(read(&text(), longer, 50).unwrap_err().contains("10 bytes"));
        let mut other = sums();
        other.add(b"global/1", 9, 7);
        assert!(read(&text(), other, 50).unwrap_err().contains("another checksum"));
    }

    #[test]
    fn a_manifest_that_is_cut_or_changed_is_not_trusted() {
        let whole = text();
        let changed = whole.replace("0/2000028", "0/2000029");
        assert!(read(&changed, sums(), 50).unwrap_err().contains("own checksum"));
        for end in [0, 50, whole.len() - 40] {
            assert!(read(whole.get(..end).unwrap(), sums(), 50).is_err(), "{end}");
        }
    }
}
