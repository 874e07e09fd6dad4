//! Which backup a person means: an id, the beginning of one, a name, or the latest of an instance.

use std::collections::HashMap;
use std::iter;
use std::str::FromStr;

use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::domain::{Backup, BackupId, InstanceId};
use crate::wire::BackupView;

/// The shortest beginning of an id. A shorter word is more likely a name.
const SHORTEST_PREFIX: usize = 4;
/// How many candidates an error lists.
const LISTED: usize = 5;

/// What stands before an instance's name to mean its newest usable backup.
const LATEST: &str = "latest:";

/// A backup as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Selector {
    Id(BackupId),
    /// The newest usable one of the instance with this name or id.
    Latest(String),
    /// By the beginning of its id, or by its name.
    Text(String),
}

/// A backup among which a selector chooses.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Candidate {
    pub(in crate::cli) id: BackupId,
    pub(in crate::cli) name: String,
    pub(in crate::cli) instance: Option<InstanceId>,
    /// The name of that instance, if it is known.
    pub(in crate::cli) instance_name: Option<String>,
    /// What it is built on.
    pub(in crate::cli) parent: Option<BackupId>,
    /// Whether its own archive is there and not known to be damaged.
    pub(in crate::cli) usable: bool,
    /// Whether it was good once, and is damaged or missing.
    pub(in crate::cli) damaged: bool,
}

impl Candidate {
    /// `names` are those of the instances.
    pub(in crate::cli) fn of_row(row: Backup, names: &HashMap<InstanceId, String>) -> Self {
        let instance_name = row.instance.and_then(|id| names.get(&id).cloned());
        // A usable backup has no other failure than the damage that was found in it later.
        let finished = row.status.is_usable();
        let (usable, damaged) =
            (finished && row.failure.is_none(), finished && row.failure.is_some());
        let Backup { id, name, instance, parent, .. } = row;
        Self { id, name, instance, instance_name, parent, usable, damaged }
    }

    /// The same of what a server answered.
    pub(super) fn of_view(view: &BackupView, names: &HashMap<InstanceId, String>) -> Self {
        let (id, instance, parent) = (view.id, view.instance_id, view.parent_id);
        let instance_name = instance.and_then(|id| names.get(&id).cloned());
        let finished = view.status.is_usable();
        let (usable, damaged) =
            (finished && view.failure.is_none(), finished && view.failure.is_some());
        Self { id, name: view.name.clone(), instance, instance_name, parent, usable, damaged }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match text.strip_prefix(LATEST) {
            Some("") => Err("name an instance after the colon: latest:shop".to_owned()),
            Some(instance) => Ok(Self::Latest(instance.to_owned())),
            None if text.is_empty() => Err("it is empty".to_owned()),
            None => Ok(Self::Text(text.to_owned())),
        }
    }
}

impl Selector {
    /// The id of the backup that is meant. `candidates` gives every known backup, newest first; `place` says
    /// where they are from, for errors.
    pub(in crate::cli) fn find<F>(&self, candidates: F, place: &str) -> Result<BackupId>
    where
        F: FnOnce() -> Result<Vec<Candidate>>,
    {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Latest(instance) => latest(&candidates()?, instance, place),
            Self::Text(text) => by_text(&candidates()?, text, place),
        }
    }
}

fn latest(candidates: &[Candidate], instance: &str, place: &str) -> Result<BackupId> {
    let is_of = |it: &&Candidate| {
        it.instance_name.as_deref() == Some(instance)
            || it.instance.is_some_and(|id| id.to_string() == instance)
    };
    let of_instance: Vec<_> = candidates.iter().filter(is_of).collect();
    let known: HashMap<_, _> = candidates.iter().map(|it| (it.id, it)).collect();
    let found = of_instance.iter().position(|it| is_whole(it, &known));
    for newer in of_instance.iter().take(found.unwrap_or_default()) {
        if let Some(bad) = chain(newer, &known).find(|link| link.damaged) {
            let id = newer.id;
            let why = if bad.id == id {
                "it is damaged or missing".to_owned()
            } else {
                format!("it is built on {}, which is damaged or missing", bad.id)
            };
            terminal::warn(format_args!("backup {id} is newer and is passed over: {why}"));
        }
    }
    let found = found.and_then(|it| of_instance.get(it)).map(|it| it.id);
    found.ok_or_else(|| {
        let what = if of_instance.is_empty() { "backup" } else { "usable backup" };
        CommandError::NotFound(format!("{place} has no {what} of an instance {instance:?}"))
    })
}

/// Whether it and what it is built on can be used, as far as those are known.
fn is_whole<'a>(candidate: &'a Candidate, known: &HashMap<BackupId, &'a Candidate>) -> bool {
    chain(candidate, known).all(|link| link.usable)
}

/// It, and what it is built on, as far as those are known.
fn chain<'a>(
    candidate: &'a Candidate,
    known: &HashMap<BackupId, &'a Candidate>,
) -> impl Iterator<Item = &'a Candidate> {
    let parent = |it: &&'a Candidate| it.parent.and_then(|id| known.get(&id).copied());
    iter::successors(Some(candidate), parent).take(known.len())
}

fn by_text(candidates: &[Candidate], text: &str, place: &str) -> Result<BackupId> {
    let prefix = text.to_ascii_lowercase();
    let is_hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_prefix = prefix.len() >= SHORTEST_PREFIX && is_hex;
    let mut found: Vec<_> = candidates
        .iter()
        .filter(|it| is_prefix && it.id.to_string().starts_with(&prefix))
        .collect();
    if found.is_empty() {
        found = candidates.iter().filter(|it| it.name == text).collect();
    }
    match found.as_slice() {
        [only] => Ok(only.id),
        [] if is_hex && !is_prefix => Err(CommandError::Usage(format!(
            "{text:?} is too short for the beginning of an id, which has at least {SHORTEST_PREFIX} characters, and no \
             backup in {place} has that name"
        ))),
        [] => Err(CommandError::NotFound(format!(
            "{place} has no backup whose id begins with {text:?} or whose name it is"
        ))),
        several => Err(CommandError::Usage(ambiguous(text, several))),
    }
}

fn ambiguous(text: &str, several: &[&Candidate]) -> String {
    let listed: Vec<String> = several.iter().take(LISTED).map(|it| it.id.to_string()).collect();
    let more = several.len().saturating_sub(LISTED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!(
        "{text:?} may mean {} backups; name one by its id: {}{more}",
        several.len(),
        listed.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, name: &str, instance: Option<&str>, usable: bool) -> Candidate {
        Candidate {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            instance: None,
            instance_name: instance.map(str::to_owned),
            parent: None,
            usable,
            damaged: !usable,
        }
    }

    const FIRST: &str = "0199aaaa-0000-7000-8000-000000000001";
    const SECOND: &str = "0199aaab-0000-7000-8000-000000000002";
    const THIRD: &str = "0199bbbb-0000-7000-8000-000000000003";

    fn find(text: &str) -> Result<String, String> {
        let known = vec![
            candidate(THIRD, "nightly", Some("shop"), false),
            candidate(SECOND, "nightly", Some("shop"), true),
            candidate(FIRST, "before the move", None, true),
        ];
        let selector: Selector = text.parse()?;
        let found = selector.find(|| Ok(known), "the catalog c.db");
        found.map(|id| id.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_backup_is_found_by_id_by_the_beginning_of_its_id_and_by_its_name() {
        assert_eq!(find(SECOND).unwrap(), SECOND);
        assert_eq!(find("0199bb").unwrap(), THIRD);
        assert_eq!(find("0199AAAB").unwrap(), SECOND);
        assert_eq!(find("before the move").unwrap(), FIRST);
    }

    #[test]
    fn the_latest_of_an_instance_is_the_newest_that_can_be_restored() {
        assert_eq!(find("latest:shop").unwrap(), SECOND);
        let error = find("latest:library").unwrap_err();
        assert!(error.contains("c.db has no backup") && error.contains("library"), "{error}");
        assert!(find("latest:").is_err());
    }

    #[test]
    fn the_latest_is_not_built_on_one_that_is_damaged() {
        let mut known = vec![
            candidate(THIRD, "nightly", Some("shop"), true),
            candidate(SECOND, "nightly", Some("shop"), false),
            candidate(FIRST, "nightly", Some("shop"), true),
        ];
        known[0].parent = Some(SECOND.parse().unwrap());
        let latest = |known| Selector::Latest("shop".to_owned()).find(|| Ok(known), "here");
        assert_eq!(latest(known.clone()).unwrap().to_string(), FIRST);
        known[1].usable = true;
        assert_eq!(latest(known).unwrap().to_string(), THIRD);
    }

    #[test]
    fn what_may_mean_several_backups_is_refused_with_their_ids() {
        for text in ["0199aa", "nightly"] {
            let error = find(text).unwrap_err();
            assert!(error.contains("2 backups") && error.contains(SECOND), "{error}");
        }
        let error = find("019").unwrap_err();
        assert!(error.contains("too short") && error.contains("4 characters"), "{error}");
        assert!(find("").is_err());
    }
}
