//! The segments of one file in memory. Holes that were not hashed come in long rows, and take nothing each.

use super::segment::{Segment, Stored};
use crate::archive::hash::NOT_TAKEN;

/// A hole that was not hashed.
pub(crate) static HOLE: Segment = Segment { hash: NOT_TAKEN, stored: Stored::Hole };

#[derive(Debug, Clone, PartialEq, Eq)]
enum Run {
    One(Segment),
    /// So many holes that were not hashed.
    Holes(usize),
}

impl Run {
    const fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Holes(count) => *count,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Segments {
    /// Each with the number of its first segment.
    runs: Vec<(usize, Run)>,
    count: usize,
}

impl Segments {
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn push(&mut self, segment: Segment) {
        if segment == HOLE {
            return self.push_holes(1);
        }
        self.runs.push((self.count, Run::One(segment)));
        self.count += 1;
    }

    pub(crate) fn push_holes(&mut self, more: usize) {
        match self.runs.last_mut() {
            Some((_, Run::Holes(count))) => *count += more,
            _ if more > 0 => self.runs.push((self.count, Run::Holes(more))),
            _ => {}
        }
        self.count += more;
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Segment> {
        let behind = self.runs.partition_point(|(start, _)| *start <= number);
        let (start, run) = self.runs.get(behind.checked_sub(1)?)?;
        match run {
            _ if number - start >= run.count() => None,
            Run::One(segment) => Some(segment),
            Run::Holes(_) => Some(&HOLE),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.runs.iter().flat_map(|(_, run)| match run {
            Run::One(segment) => std::iter::repeat_n(segment, 1),
            Run::Holes(count) => std::iter::repeat_n(&HOLE, *count),
        })
    }
}

impl Extend<Segment> for Segments {
    fn extend<I: IntoIterator<Item = Segment>>(&mut self, more: I) {
        more.into_iter().for_each(|segment| self.push(segment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_holes_are_kept_as_a_number_and_read_back_one_by_one() {
        let data = |byte| Segment { hash: [byte; 32], stored: Stored::Hole };
        let all = [vec![data(1)], vec![HOLE.clone(); 1000], vec![data(2), data(3), HOLE.clone()]];
        let all = all.concat();
        let mut kept = Segments::default();
        kept.extend(all.iter().cloned());
        assert_eq!((kept.len(), kept.runs.len()), (all.len(), 5));
        assert!(kept.iter().eq(&all));
        for number in 0..all.len() + 2 {
            assert_eq!(kept.get(number), all.get(number), "{number}");
        }
        assert_eq!(Segments::default().get(0), None);
    }
}
