//! The members of the tar in an archive's frames, as far as they can be found.

use std::sync::Arc;

use memchr::{memchr, memchr_iter};

use super::frames::{Frames, Piece};
use super::tar_header::{self, BLOCK_BYTES, Before, Kind};
use crate::archive::error::Result;
use crate::archive::sparse;
use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{Cancel, Entry, EntryKind, Extent, ReadAt};

/// The longest text, pax header or map of holes that is read into memory.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Why there is no more.
pub(super) const ENDS: &str = "the archive ends there";

/// What is next in the tar.
#[derive(Debug)]
pub(super) enum Next {
    /// A member of the source. Of a file, the content follows.
    Entry(Entry),
    /// A member that Coffer added, with its length; the content follows.
    Own(String, u64),
    /// Members are missing here, for this reason.
    Missing(String),
    End,
}

/// A part of a file's content.
#[derive(Debug)]
pub(super) enum Run<'a> {
    Bytes(&'a [u8]),
    /// So many bytes are lost.
    Lost(u64, String),
    /// It is not known how many bytes are lost; there are no more of this file.
    Broken(String),
}

/// Why bytes are not there.
type Hole = String;

#[derive(Debug)]
pub(super) struct Members {
    pub(super) frames: Frames,
    /// The content of a frame, and how much of it was read.
    buffer: Vec<u8>,
    start: usize,
    /// How much of the lost frame that is next was passed over.
    lost: Option<(u64, String)>,
    /// Whether the next header must be searched, because it is not known where it is.
    searching: bool,
    before: Before,
    ended: bool,
}

impl Members {
    pub(super) fn open(file: Arc<dyn ReadAt>, cancel: &Cancel) -> Result<Self> {
        Ok(Self {
            frames: Frames::open(file, cancel)?,
            buffer: Vec::new(),
            start: 0,
            lost: None,
            searching: false,
            before: Before::default(),
            ended: false,
        })
    }

    /// The next member. All content of the one before must have been read, unless it is broken.
    pub(super) fn next(&mut self) -> Result<Next> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        loop {
            if let Some(hole) = self.take(BLOCK_BYTES, &mut block)? {
                if self.ended {
                    return Ok(Next::End);
                }
                if let Some(missing) = self.miss(hole) {
                    return Ok(missing);
                }
                continue;
            }
            let found = block.first_chunk().and_then(tar_header::parse);
            let Some((kind, header)) = found else {
                // The end of a tar is blocks of zeros.
                if block.iter().all(|byte| *byte == 0) {
                    continue;
                }
                match self.miss("the tar in it is not in order".to_owned()) {
                    Some(missing) => return Ok(missing),
                    None => continue,
                }
            };
            self.searching = false;
            let length = header.entry_size().unwrap_or(u64::MAX);
            let next = match kind {
                Kind::Own => {
                    let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
                    Some(Next::Own(name, length))
                }
                Kind::Data => self.entry(&header)?,
                Kind::Pax | Kind::LongName | Kind::LongLink => self.text(kind, length)?,
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }

    /// Begins to search, and says so unless it did before.
    fn miss(&mut self, why: String) -> Option<Next> {
        self.before = Before::default();
        let is_new = !std::mem::replace(&mut self.searching, true);
        is_new.then_some(Next::Missing(why))
    }

    /// Reads a text that belongs to the next member.
    fn text(&mut self, kind: Kind, length: u64) -> Result<Option<Next>> {
        let mut body = Vec::new();
        if length > MAX_TEXT_BYTES {
            return Ok(self.miss("a name in it is too long".to_owned()));
        }
        let padded = saturating_usize(length.next_multiple_of(to_u64(BLOCK_BYTES)));
        if let Some(hole) = self.take(padded, &mut body)? {
            return Ok(self.miss(hole));
        }
        body.truncate(saturating_usize(length));
        if kind == Kind::Pax {
            self.before.records = tar_header::records(&body);
            return Ok(None);
        }
        body.truncate(memchr(0, &body).unwrap_or(body.len()));
        let place =
            if kind == Kind::LongName { &mut self.before.name } else { &mut self.before.link };
        *place = Some(body);
        Ok(None)
    }

    fn entry(&mut self, header: &tar::Header) -> Result<Option<Next>> {
        let before = std::mem::take(&mut self.before);
        let Some(mut entry) = before.entry(header) else {
            return Ok(self.miss("a header in it cannot be read".to_owned()));
        };
        if let EntryKind::File { size, extents: Some(extents) } = &mut entry.kind {
            match self.map(*size)? {
                Ok(found) => *extents = found,
                Err(hole) => return Ok(self.miss(hole)),
            }
        }
        Ok(Some(Next::Entry(entry)))
    }

    /// The map in front of a sparse file's data.
    fn map(&mut self, size: u64) -> Result<Result<Vec<Extent>, Hole>> {
        let (mut text, mut block, mut wanted) = (Vec::new(), Vec::new(), None);
        let mut lines = 0;
        loop {
            if let Some(hole) = self.take(BLOCK_BYTES, &mut block)? {
                return Ok(Err(hole));
            }
            lines += memchr_iter(b'\n', &block).count();
            text.extend_from_slice(&block);
            let count = *wanted.get_or_insert_with(|| number_of_lines(&text));
            if lines >= count {
                break;
            }
            if to_u64(text.len()) > MAX_TEXT_BYTES {
                return Ok(Err("the map of a file with holes is too long".to_owned()));
            }
        }
        let extents = extents(&text).filter(|found| sparse::check(found, size).is_ok());
        Ok(extents.ok_or_else(|| "the map of a file with holes is not in order".to_owned()))
    }

    /// Reads so many bytes into `out`, replacing what is in it. If some are missing, returns why; then the reading goes on
    /// behind them.
    fn take(&mut self, length: usize, out: &mut Vec<u8>) -> Result<Option<Hole>> {
        out.clear();
        while out.len() < length {
            let missing = to_u64(length - out.len());
            match self.content(missing)? {
                Run::Bytes(bytes) => out.extend_from_slice(bytes),
                Run::Broken(why) => return Ok(Some(why)),
                Run::Lost(_, why) => {
                    self.lost = None;
                    return Ok(Some(why));
                }
            }
        }
        Ok(None)
    }

    /// The next content, at most so many bytes.
    pub(super) fn content(&mut self, most: u64) -> Result<Run<'_>> {
        while self.lost.is_none() && self.start >= self.buffer.len() {
            self.start = 0;
            match self.frames.next(&mut self.buffer)? {
                Piece::Content => {}
                Piece::Lost(bytes, why) => self.lost = Some((bytes, why)),
                Piece::Gap(why) => return Ok(Run::Broken(why)),
                Piece::End => {
                    self.ended = true;
                    return Ok(Run::Broken(ENDS.to_owned()));
                }
            }
        }
        if let Some((left, why)) = self.lost.take() {
            let now = left.min(most);
            self.lost = (left > now).then(|| (left - now, why.clone()));
            return Ok(Run::Lost(now, why));
        }
        let rest = self.buffer.len() - self.start;
        let (from, length) = (self.start, rest.min(saturating_usize(most)));
        self.start += length;
        Ok(Run::Bytes(self.buffer.get(from..from + length).unwrap_or_default()))
    }

    /// Makes the next member be searched, because the content before it is broken.
    pub(super) fn search(&mut self) {
        self.searching = true;
    }

    /// Passes over what pads a member of this length to whole blocks.
    pub(super) fn skip_padding(&mut self, length: u64) -> Result<()> {
        let padding = length.next_multiple_of(to_u64(BLOCK_BYTES)) - length;
        self.take(saturating_usize(padding), &mut Vec::new())?;
        Ok(())
    }
}

/// How many lines the map has that begins with this text.
fn number_of_lines(text: &[u8]) -> usize {
    let count = numbers(text).next().unwrap_or(0);
    saturating_usize(count.saturating_mul(2).saturating_add(1))
}

fn numbers(text: &[u8]) -> impl Iterator<Item = u64> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.map_while(|line| std::str::from_utf8(line).ok()?.parse().ok())
}

/// The ranges of data in a map. A range of length 0 only says how long the file is.
fn extents(text: &[u8]) -> Option<Vec<Extent>> {
    let mut numbers = numbers(text);
    let count = numbers.next()?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (offset, length) = (numbers.next()?, numbers.next()?);
        if length > 0 {
            found.push(Extent { offset, length });
        }
    }
    Some(found)
}
