//! A file's holes.

use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::domain::Extent;
use crate::engine::file_stat::FileStat;
use crate::engine::pulse::Pulse;

/// The most extents that an archive keeps of a file: a few lists of them are in memory at once, with 4 MiB each.
const MAX_EXTENTS: usize = 1 << 18;

/// The shortest hole that is kept: no filesystem has smaller blocks, and an archive bounds the ranges of a segment.
const LEAST_HOLE: u64 = 512;

/// Where an open file holds data; `None` if it has no holes or the filesystem does not say.
pub(super) fn extents(
    file: BorrowedFd<'_>,
    found: &FileStat,
    pulse: &Pulse,
) -> Option<Vec<Extent>> {
    if found.allocated >= found.size {
        return None;
    }
    let mut extents = Vec::new();
    let mut at = 0;
    while at < found.size {
        pulse.beat();
        let offset = match seek(file, SeekFrom::Data(at)) {
            Ok(offset) => offset,
            Err(Errno::NXIO) => break,
            Err(_unknown) => return None,
        };
        let end = seek(file, SeekFrom::Hole(offset)).ok()?.min(found.size);
        // An extent without a length means that the file is changing.
        let length = end.checked_sub(offset).filter(|length| *length > 0);
        match length {
            None if offset >= found.size => break,
            None => return None,
            Some(length) => add(&mut extents, Extent { offset, length }),
        }
        at = end;
    }
    merge_shortest_holes(&mut extents, MAX_EXTENTS);
    merge_holes(&mut extents, LEAST_HOLE);
    let complete = [Extent { offset: 0, length: found.size }];
    (extents != complete).then_some(extents)
}

/// Adds an extent behind the others. There are never more than twice as many as are kept.
fn add(extents: &mut Vec<Extent>, next: Extent) {
    extents.push(next);
    if extents.len() >= 2 * MAX_EXTENTS {
        merge_shortest_holes(extents, MAX_EXTENTS);
    }
}

/// Keeps at most `most` extents, by taking the shortest holes between them for data. Such holes are read as zeros.
fn merge_shortest_holes(extents: &mut Vec<Extent>, most: usize) {
    let mut shortest = 4096;
    while extents.len() > most {
        shortest *= 2;
        merge_holes(extents, shortest);
    }
}

/// Takes holes that are shorter than this for data.
fn merge_holes(extents: &mut Vec<Extent>, shortest: u64) {
    extents.dedup_by(|next, before| {
        let end = before.offset + before.length;
        let merge = next.offset - end < shortest;
        if merge {
            before.length = next.offset + next.length - before.offset;
        }
        merge
    });
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::engine::file_stat::stat_open;

    #[test]
    fn extents_show_the_holes_of_a_sparse_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[7; 4096], 5 << 20).unwrap();
        let found = stat_open(file.as_fd()).unwrap();
        let pulse = Pulse::default();
        let extents = extents(file.as_fd(), &found, &pulse).unwrap();
        assert_eq!(extents, [Extent { offset: 5 << 20, length: 4096 }]);

        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let found = stat_open(file.as_fd()).unwrap();
        assert_eq!(super::extents(file.as_fd(), &found, &pulse), Some(Vec::new()));
    }

    #[test]
    fn the_shortest_holes_are_given_up_if_there_are_too_many() {
        let made = |starts: &[u64]| -> Vec<Extent> {
            starts.iter().map(|offset| Extent { offset: *offset, length: 4096 }).collect()
        };
        let mut extents = made(&[0, 8192, 1 << 20, 2 << 20]);
        merge_shortest_holes(&mut extents, 4);
        assert_eq!(extents.len(), 4);
        merge_shortest_holes(&mut extents, 3);
        assert_eq!(extents[0], Extent { offset: 0, length: 12288 });
        assert_eq!(extents[1..], made(&[1 << 20, 2 << 20]));
        merge_shortest_holes(&mut extents, 1);
        assert_eq!(extents, [Extent { offset: 0, length: (2 << 20) + 4096 }]);
    }

    #[test]
    fn the_list_of_a_file_with_millions_of_holes_takes_few_mib() {
        let mut extents = Vec::new();
        for number in 0..5_000_000 {
            add(&mut extents, Extent { offset: number * 65_536, length: 4096 });
        }
        let bytes = extents.capacity() * size_of::<Extent>();
        assert!(bytes <= 8 << 20, "{bytes} bytes");
        let last = extents.last().unwrap();
        assert_eq!(last.offset + last.length, 4_999_999 * 65_536 + 4096);
    }
}
