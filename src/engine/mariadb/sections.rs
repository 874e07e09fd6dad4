//! The output of a dump program, in sections: one for each database, and then one for the views of each.
//!
//! One run of the program dumps all databases as of one moment. Each section is passed on while the program goes on: it
//! never waits for the archive, because its server gives up a client that does not read for a minute.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::SyncSender;

use memchr::memmem;

use super::client::quoted_name;
use crate::engine::EngineError;
use crate::engine::spool::Spool;

/// The last line of a complete dump.
pub(super) const END: &str = "\n-- Dump completed";

/// Within how many bytes of the end that line is.
const END_BYTES: usize = 512;

/// How much is read at once.
const PIECE: usize = 256 << 10;

/// How many sections may wait for the archive.
pub(super) const MOST_WAITING: usize = 256;

/// Why a section was not copied.
#[derive(Debug)]
pub(super) enum SectionError {
    /// The program's output could not be read.
    Read(io::Error),
    Copy(EngineError),
    /// Whoever takes the sections has stopped.
    Unwanted,
}

/// Sends each section of `from` on, the beginning of the dump first. Returns whether the dump is complete.
pub(super) fn send(
    from: impl Read,
    databases: &[String],
    scratch: &Path,
    to: &SyncSender<Spool>,
) -> Result<bool, SectionError> {
    let mut sections = Sections::of(from, databases);
    let mut sent = 0;
    loop {
        let mut section = Spool::new(scratch).map_err(SectionError::Copy)?;
        let follows = sections.copy(&mut section)?;
        let complete = !follows && sections.finish(&mut section)? && sent >= databases.len();
        to.send(section).map_err(|_unsent| SectionError::Unwanted)?;
        sent += 1;
        if !follows {
            return Ok(complete);
        }
    }
}

/// Output that is read section by section.
#[derive(Debug)]
struct Sections<R> {
    from: R,
    /// What the sections that follow begin with.
    beginnings: VecDeque<Vec<u8>>,
    /// What was read and is not passed on yet.
    pending: Vec<u8>,
}

impl<R: Read> Sections<R> {
    /// `from` holds the databases in this order, and then perhaps their views in the same order.
    fn of(from: R, databases: &[String]) -> Self {
        let beginning = |name: &String| {
            format!("\n--\n-- Current Database: {}\n--\n\n", quoted_name(name)).into_bytes()
        };
        let tables =
            databases.iter().map(|name| [&beginning(name)[..], b"CREATE DATABASE "].concat());
        let views = databases.iter().map(|name| [&beginning(name)[..], b"USE "].concat());
        Self { from, beginnings: tables.chain(views).collect(), pending: Vec::new() }
    }

    /// Copies everything up to the next section, or to the end. Returns whether another section follows.
    fn copy(&mut self, to: &mut Spool) -> Result<bool, SectionError> {
        loop {
            let next = self.beginnings.front();
            let found = next.and_then(|it| memmem::find(&self.pending, it));
            if let Some(at) = found {
                self.pass(at, to)?;
                self.beginnings.pop_front();
                return Ok(true);
            }
            // A beginning may be half read, and the end of everything is kept for `is_complete`.
            let kept = next.map_or(0, Vec::len).max(END_BYTES);
            self.pass(self.pending.len().saturating_sub(kept), to)?;
            let filled = self.pending.len();
            self.pending.resize(filled + PIECE, 0);
            let read = self.from.read(self.pending.get_mut(filled..).unwrap_or_default());
            self.pending.truncate(filled + read.as_ref().map_or(0, |length| *length));
            if read.map_err(SectionError::Read)? == 0 {
                return Ok(false);
            }
        }
    }

    fn pass(&mut self, length: usize, to: &mut Spool) -> Result<(), SectionError> {
        let piece = self.pending.drain(..length).collect::<Vec<_>>();
        to.write(&piece).map_err(SectionError::Copy)
    }

    /// At the end: copies the rest, if the dump is complete.
    fn finish(&mut self, to: &mut Spool) -> Result<bool, SectionError> {
        to.write(&self.pending).map_err(SectionError::Copy)?;
        Ok(ends_completely(&self.pending))
    }
}

/// Whether the last line says that a dump is complete.
pub(super) fn ends_completely(dump: &[u8]) -> bool {
    let end = dump.get(dump.len().saturating_sub(END_BYTES)..).unwrap_or_default();
    memmem::find(end, END.as_bytes()).is_some() && end.ends_with(b"\n")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// The sections of a text that is read in pieces of this length, and whether it is complete.
    fn sections(text: &str, databases: &[&str], piece: usize) -> (Vec<String>, bool) {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = self.1.min(buffer.len());
                self.0.read(buffer.get_mut(..length).unwrap())
            }
        }
        let databases: Vec<String> = databases.iter().map(|it| (*it).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let complete = send(Pieces(text.as_bytes(), piece), &databases, folder.path(), &sender);
        drop(sender);
        let texts = receiver.into_iter().map(|it| String::from_utf8(it.read().unwrap()).unwrap());
        (texts.collect(), complete.unwrap())
    }

    #[test]
    fn a_dump_is_complete_if_its_last_line_says_so() {
        assert!(ends_completely(b"CREATE TABLE a;\n\n-- Dump completed\n"));
        let long = "x".repeat(5000);
        assert!(ends_completely(format!("{long}\n-- Dump completed on 2026-01-01\n").as_bytes()));
        assert!(!ends_completely(b""));
        assert!(!ends_completely(b"-- Dump completed"));
        assert!(!ends_completely(format!("\n-- Dump completed{long}").as_bytes()));
    }

    #[test]
    fn each_database_and_its_views_are_a_section_of_their_own() {
        let begin =
            |name: &str, with: &str| format!("\n--\n-- Current Database: `{name}`\n--\n\n{with}");
        let tables =
            |name: &str| begin(name, "CREATE DATABASE /*!32312 IF NOT EXISTS*/ x;\nrows;\n");
        let views = |name: &str| begin(name, "USE x;\nviews;\n");
        let fake = begin("b", "SELECT 1");
        let end = "\n-- Dump completed\n";
        let first = tables("a") + &fake;
        let text = format!("head;\n{first}{}{}{}{end}", tables("b"), views("a"), views("b"));
        for piece in [1, 7, 1 << 20] {
            let (found, complete) = sections(&text, &["a", "b"], piece);
            assert!(complete);
            let last = views("b") + end;
            assert_eq!(found, ["head;\n", &first, &tables("b"), &views("a"), &last]);
            let (found, complete) = sections(&text.replace(end, ""), &["a", "b"], piece);
            assert!(found.len() == 5 && !complete);
            assert!(!sections(&format!("head;\n{first}{end}"), &["a", "b"], piece).1);
        }
    }
}
