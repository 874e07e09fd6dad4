//! Trees that change at random while they are read, by seed: what existed all the time is in the backup, as it was at
//! some moment, or its file or folder is named.
//!
//! The first few seeds are tried. To try more, set
//! `COFFER_WALK_SEEDS` to a number or a range: `COFFER_WALK_SEEDS=1000 cargo test --test rooms -- random_changes`,
//! or to see one again `COFFER_WALK_SEEDS=17..18`.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use coffer::domain::{CheckLevel, Entry, EntryKind, LeftOut, SEGMENT_BYTES};
use coffer::engine::{DumpRequest, Intake, NeedsContent, Stop, printable};

use self::world::{State, What, World};
use super::engine;
use crate::engine::conformance::NOT_CANCELLED;

/// How many seeds are tried if nothing else is asked for.
const SEEDS: u64 = 40;

/// One in so many calls of the intake changes the tree.
const CALLS_PER_CHANGE: u32 = 5;

/// An intake that changes the tree, and takes unchanged files from the backup before this one.
struct ChangingIntake<'test> {
    world: &'test mut World,
    parent: &'test BTreeMap<Vec<u8>, (Entry, Vec<u8>)>,
    members: Vec<(Entry, Vec<u8>)>,
}

impl ChangingIntake<'_> {
    fn perhaps_change(&mut self) {
        if self.world.random.u32(..CALLS_PER_CHANGE) == 0 {
            self.world.change();
        }
    }
}

impl Intake for ChangingIntake<'_> {
    fn announce(&mut self, _bytes: u64) -> Result<(), Stop> {
        Ok(())
    }
    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<NeedsContent, Stop> {
        self.perhaps_change();
        let before = self.parent.get(entry.path.as_bytes()).filter(|(before, _)| {
            let same = before.stamp == entry.stamp && before.mtime_ns == entry.mtime_ns;
            trust_stamp && entry.stamp.is_some() && same && before.kind == entry.kind
        });
        self.members.push((entry.clone(), before.map(|it| it.1.clone()).unwrap_or_default()));
        let has_content = matches!(entry.kind, EntryKind::File { size, .. } if size > 0);
        let is_needed = before.is_none() && has_content;
        Ok(if is_needed { NeedsContent::Yes } else { NeedsContent::No })
    }
    fn buffer(&mut self) -> Vec<u8> {
        self.perhaps_change();
        Vec::with_capacity(SEGMENT_BYTES)
    }
    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        self.members.last_mut().unwrap().1.extend_from_slice(&bytes);
        self.perhaps_change();
        Ok(())
    }
    fn retract(&mut self) -> Result<(), Stop> {
        self.members.pop().unwrap();
        Ok(())
    }
}

/// A full backup and an incremental, each of a tree that changes meanwhile.
fn try_seed(seed: u64) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), seed);
    let mut parent = BTreeMap::new();
    for kind in ["full", "incremental"] {
        world.begin();
        let source = engine().source_of(folder.path());
        let request = DumpRequest {
            source: &source,
            instance_name: "tree",
            check: CheckLevel::Quick,
            scratch: "/nowhere".as_ref(),
            trust_stamps: true,
            parent_check: None,
            cancel: &NOT_CANCELLED,
        };
        let mut intake = ChangingIntake { world: &mut world, parent: &parent, members: Vec::new() };
        let facts = engine().dump(&request, &mut intake).unwrap();
        let members = intake.members;
        judge(&world.states, &members, &facts.left_out)
            .map_err(|why| format!("seed {seed}, {kind}: {why}\nchanges: {:#?}", world.done))?;
        let members = members.into_iter();
        parent = members.map(|it| (it.0.path.as_bytes().to_vec(), it)).collect();
        for _ in 0..3 {
            world.change();
        }
    }
    Ok(())
}

fn what((entry, content): &(Entry, Vec<u8>)) -> What {
    match &entry.kind {
        EntryKind::File { .. } => {
            let label = entry.xattrs.iter().find(|(name, _)| name == b"user.label");
            let label = label.map(|(_, value)| value.clone()).unwrap_or_default();
            What::File { hash: *blake3::hash(content).as_bytes(), mode: entry.mode, label }
        }
        EntryKind::Symlink { target } => What::Link(target.clone()),
        EntryKind::Directory => What::Folder,
        EntryKind::HardLink { to } => What::Name(printable(to)),
    }
}

/// Compares a backup with everything that was true while it was made.
fn judge(
    states: &[State],
    members: &[(Entry, Vec<u8>)],
    left_out: &[LeftOut],
) -> Result<(), String> {
    let named: BTreeSet<&str> = left_out.iter().map(|it| it.what.as_str()).collect();
    let is_named = |path: &str| {
        let above = path.match_indices('/').map(|(at, _)| path.split_at(at).0);
        named.contains(".")
            || named.contains(path)
            || above.into_iter().any(|it| named.contains(it))
    };
    let kept: BTreeMap<String, What> =
        members.iter().map(|it| (printable(&it.0.path), what(it))).collect();
    let ever: BTreeSet<&What> = states.iter().flat_map(State::values).map(|it| &it.what).collect();
    for (path, what) in &kept {
        let existed = match what {
            What::Name(to) => matches!(kept.get(to), Some(What::File { .. } | What::Link(_))),
            other => ever.contains(other),
        };
        if !existed && !named.contains(path.as_str()) {
            return Err(format!("{path} was never {what:?}, and is not named in {left_out:?}"));
        }
    }
    let contents: BTreeSet<&What> = kept.values().collect();
    for (id, first) in states.first().into_iter().flatten() {
        let all: Vec<_> = states.iter().filter_map(|state| state.get(id)).collect();
        if all.len() < states.len() {
            continue;
        }
        let mut paths = all.iter().flat_map(|it| &it.paths);
        let is_kept = match first.what {
            What::Folder => paths.clone().any(|path| kept.get(path) == Some(&What::Folder)),
            _ => all.iter().any(|it| contents.contains(&it.what)),
        };
        if !is_kept && !paths.any(|path| is_named(path)) {
            return Err(format!("{:?} existed all the time; named: {left_out:?}", first.paths));
        }
    }
    Ok(())
}

fn seeds() -> Range<u64> {
    let asked = std::env::var("COFFER_WALK_SEEDS").unwrap_or_else(|_unset| SEEDS.to_string());
    match asked.split_once("..") {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => 0..asked.parse().unwrap(),
    }
}

#[test]
fn nothing_is_lost_unsaid_from_a_tree_that_changes_at_random_while_it_is_read() {
    let faults: Vec<String> = seeds().filter_map(|seed| try_seed(seed).err()).collect();
    assert!(faults.is_empty(), "{} seeds: {}", faults.len(), faults.join("\n\n"));
}
