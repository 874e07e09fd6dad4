//! The server's backup manifest. It is the last file of a base backup and lists the size and CRC-32C of every
//! file before it, which are compared here with what was received.
//!
//! It is JSON with one file on each line, and its own checksum on the last. It is read line by line, so that it
//! takes no more memory than a checksum for each file.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// A line holds a path, a size, a time and a checksum.
const MAX_LINE: usize = 64 << 10;

/// Size and CRC-32C of the files received, by a hash of their paths.
#[derive(Debug, Default)]
pub(super) struct Checksums(HashMap<u64, (u64, u32)>);

impl Checksums {
    /// Adds a file; `path` is relative to the data directory.
    pub(super) fn add(&mut self, path: &[u8], size: u64, crc: u32) {
        self.0.insert(key(path), (size, crc));
    }
}

fn key(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// A line of the manifest about a file.
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

/// A range of WAL that the backup needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct WalRange {
    #[serde(rename = "Timeline")]
    pub(super) timeline: u32,
    #[serde(rename = "Start-LSN")]
    pub(super) start: String,
    #[serde(rename = "End-LSN")]
    pub(super) end: String,
}

/// Reads a manifest piece by piece.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The files received; `None`: they are not compared.
    checksums: Option<Checksums>,
    line: Vec<u8>,
    hash: Sha256,
    files: u64,
    wal: Vec<WalRange>,
    /// Whether its own checksum is right, once that was read.
    own_checksum: Option<bool>,
    problem: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ManifestSummary {
    pub(super) files: u64,
    pub(super) wal: Vec<WalRange>,
}

impl Manifest {
    pub(super) fn new(checksums: Option<Checksums>) -> Self {
        Self {
            checksums,
            line: Vec::new(),
            hash: Sha256::new(),
            files: 0,
            wal: Vec::new(),
            own_checksum: None,
            problem: None,
        }
    }

    pub(super) fn update(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > MAX_LINE {
                self.report("a line of it is too long".to_owned());
                self.line.clear();
                continue;
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.read_line(&line);
                self.line = line;
                self.line.clear();
            }
        }
    }

    fn read_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("\"Manifest-Checksum\":") {
            let expected = rest.trim().trim_end_matches('}').trim().trim_matches('"');
            self.own_checksum = Some(expected == hex::encode(self.hash.clone().finalize()));
            return;
        }
        self.hash.update(line);
        // The first object of a list may follow the list's name on the same line.
        let Some(begin) = text.find("{ \"") else { return };
        let object = text.get(begin..).unwrap_or_default();
        let object = object.trim_end_matches(',').trim_end_matches("],").trim_end_matches(']');
        if object.starts_with("{ \"PostgreSQL-Backup-Manifest-Version\"") {
            return;
        }
        if object.starts_with("{ \"Timeline\"") {
            match serde_json::from_str(object) {
                Ok(range) => self.wal.push(range),
                Err(error) => self.report(format!("a WAL range in it is malformed: {error}")),
            }
            return;
        }
        match serde_json::from_str(object) {
            Ok(file) => self.compare(&file),
            Err(error) => self.report(format!("a line of it is malformed: {error}")),
        }
    }

    fn compare(&mut self, file: &FileLine) {
        self.files += 1;
        let Some(checksums) = &mut self.checksums else { return };
        let path = match (&file.path, &file.encoded_path) {
            (Some(path), _) => path.as_bytes().to_vec(),
            (None, Some(encoded)) => hex::decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let shown = String::from_utf8_lossy(&path).into_owned();
        let Some((size, crc)) = checksums.0.remove(&key(&path)) else {
            return self.report(format!("{shown} is missing"));
        };
        if size != file.size {
            return self.report(format!("{shown} has {size} bytes instead of {}", file.size));
        }
        let expected = file.checksum.as_deref().unwrap_or_default();
        if !expected.eq_ignore_ascii_case(&hex::encode(crc.to_le_bytes())) {
            self.report(format!("{shown} has another checksum than on the server"));
        }
    }

    /// Keeps the first problem.
    fn report(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    /// After its last piece: the summary, or what is wrong with it or with the files received.
    pub(super) fn finish(mut self) -> Result<ManifestSummary, String> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.read_line(&line);
        }
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        match self.own_checksum {
            Some(true) if self.files > 0 => {
                Ok(ManifestSummary { files: self.files, wal: self.wal })
            }
            Some(true) => Err("it lists no files".to_owned()),
            Some(false) => Err("its own checksum is wrong".to_owned()),
            None => Err("its checksum is missing at its end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[u8] = b"123456789";

    /// As version 17 and later write it; earlier ones name no system.
    fn text() -> String {
        let body = "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\
            \"System-Identifier\": 7380913482839483822,\n\"Files\": [\n\
            { \"Path\": \"global/1\", \"Size\": 9, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", \
            \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" },\n\
            { \"Encoded-Path\": \"ff\", \"Size\": 9, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", \
            \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" }\n],\n\
            \"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n";
        let sum = hex::encode(Sha256::digest(body));
        format!("{body}\"Manifest-Checksum\": \"{sum}\"}}\n")
    }

    fn checksums() -> Checksums {
        let mut checksums = Checksums::default();
        for path in [&b"global/1"[..], b"\xff", b"pg_wal/000000010000000000000002"] {
            checksums.add(path, 9, crc32c::crc32c(NAMES));
        }
        checksums
    }

    fn read(text: &str, checksums: Checksums, piece: usize) -> Result<ManifestSummary, String> {
        let mut manifest = Manifest::new(Some(checksums));
        text.as_bytes().chunks(piece).for_each(|piece| manifest.update(piece));
        manifest.finish()
    }

    #[test]
    fn files_that_match_the_manifest_pass() {
        for piece in [1, 7, 100_000] {
            let summary = read(&text(), checksums(), piece).unwrap();
            assert_eq!((summary.files, summary.wal.len()), (2, 1));
            assert_eq!((summary.wal[0].timeline, summary.wal[0].end.as_str()), (1, "0/2000100"));
        }
    }

    #[test]
    fn a_missing_or_changed_file_is_named() {
        let mut missing = checksums();
        missing.0.remove(&key(b"global/1"));
        assert!(read(&text(), missing, 50).unwrap_err().contains("global/1 is missing"));
        let mut longer = checksums();
        longer.add(b"global/1", 10, crc32c::crc32c(NAMES));
        assert!(read(&text(), longer, 50).unwrap_err().contains("10 bytes"));
        let mut other = checksums();
        other.add(b"global/1", 9, 7);
        assert!(read(&text(), other, 50).unwrap_err().contains("another checksum"));
    }

    #[test]
    fn a_manifest_that_is_cut_or_changed_is_rejected() {
        let full = text();
        let changed = full.replace("0/2000028", "0/2000029");
        assert!(read(&changed, checksums(), 50).unwrap_err().contains("own checksum"));
        for end in [0, 50, full.len() - 40] {
            assert!(read(full.get(..end).unwrap(), checksums(), 50).is_err(), "{end}");
        }
    }
}
