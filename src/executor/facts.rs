//! What a backup's row and its manifest say of each other, and the texts for people in its archive.

use serde::Deserialize;

use crate::archive::{BackupDescription, Manifest, ManifestDraft};
use crate::catalog::{BackupJob, Recovered};
use crate::domain::{
    ArchiveFacts, Backup, Datastore, Instance, Kind, LeftOut, Location, Status, Timestamp,
    VerifyLevel,
};
use crate::engine::{DumpFacts, Engine};

/// How much of what a backup leaves out its row names. A page shows a thousand rows.
const LEFT_OUT_IN_ROW: usize = 100;
/// How much of it `RESTORE.txt` names.
const LEFT_OUT_IN_TEXT: usize = 200;
/// In letters: text and manifest begin in one frame.
const LONGEST_LINE: usize = 1000;

/// How the text of an incremental archive begins.
pub(super) const INCREMENTAL: &str = "This is a Coffer archive: incremental ";

/// The manifest of a backup, from its row and what the engine found.
pub(super) fn draft(
    job: &BackupJob,
    engine: &dyn Engine,
    dump: &DumpFacts,
    (started, finished): (Timestamp, Timestamp),
    is_encrypted: bool,
) -> ManifestDraft {
    let BackupJob { backup, instance, .. } = job;
    ManifestDraft {
        backup: BackupDescription {
            id: backup.id,
            name: backup.name.clone(),
            description: backup.description.clone(),
            project_id: backup.project.clone(),
            instance_id: backup.instance,
            instance_name: instance.name.clone(),
            parent_id: backup.parent,
            container: backup.container.clone(),
            created: backup.created,
        },
        datastore: datastore(backup, dump),
        started,
        finished,
        source: serde_json::to_value(dump).unwrap_or_default(),
        restore: restore_commands(backup, engine, instance, is_encrypted),
        consolidated: None,
        final_text: with_left_out(
            &restore_text(backup, engine, instance, &job.chain, is_encrypted),
            &dump.left_out,
        ),
    }
}

/// The text of `RESTORE.txt` with what the backup leaves out. Its commands are indented by a tab, so that
/// whoever prints both texts and runs the lines that begin with spaces runs each only once.
pub(super) fn with_left_out(text: &str, left_out: &[LeftOut]) -> Option<String> {
    if left_out.is_empty() {
        return None;
    }
    let mut text = text.replace("\n    ", "\n\t");
    text.push_str("\nNot in this backup, or not vouched for:\n");
    for one in LeftOut::first(left_out.to_vec(), LEFT_OUT_IN_TEXT) {
        let line = format!("- {one}");
        text.extend(line.chars().take(LONGEST_LINE));
        text.push('\n');
    }
    Some(text)
}

/// The engine, and the version that was read: the row may be from before the server was reached.
fn datastore(backup: &Backup, dump: &DumpFacts) -> Datastore {
    let engine = backup.datastore.engine.clone();
    let known = Datastore::is_known(&dump.version);
    let version = if known { &dump.version } else { &backup.datastore.version };
    Datastore { engine, version: version.clone() }
}

/// How far a backup was proven, by its manifest.
pub(super) fn level_of(manifest: &Manifest) -> VerifyLevel {
    if check_of(manifest).is_some() { VerifyLevel::Checked } else { VerifyLevel::Bytes }
}

/// What is known of the archive that `manifest` describes. It was proven when it was finished, or at
/// `verified_at` again.
pub(super) fn of_archive(
    manifest: &Manifest,
    location: Location,
    stored_bytes: u64,
    checksum: String,
    verified_at: Timestamp,
) -> ArchiveFacts {
    ArchiveFacts {
        location,
        stored_bytes,
        source_bytes: manifest.totals.content_bytes,
        checksum,
        verified_at,
        verify_level: level_of(manifest),
        left_out: LeftOut::first(left_out(manifest), LEFT_OUT_IN_ROW),
    }
}

/// What the backup leaves out. Version 0.1.0 named that of trees under two other keys.
pub fn left_out(manifest: &Manifest) -> Vec<LeftOut> {
    let SourceFacts { mut left_out, passed_over, changed_while_read } =
        SourceFacts::deserialize(&manifest.source).unwrap_or_default();
    left_out.extend(passed_over.into_iter().map(|it| LeftOut::new(it.path, it.reason)));
    let changed = "changed while it was read: its content may be inconsistent";
    left_out.extend(changed_while_read.into_iter().map(|path| LeftOut::new(path, changed)));
    left_out
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SourceFacts {
    left_out: Vec<LeftOut>,
    passed_over: Vec<SkippedMember>,
    changed_while_read: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct SkippedMember {
    path: String,
    reason: String,
}

/// The check that the source passed when it was read.
pub(super) fn check_of(manifest: &Manifest) -> Option<&str> {
    SourceCheck::deserialize(&manifest.source).ok()?.check
}

/// The one field of [`DumpFacts`] that later backups need.
#[derive(Deserialize)]
struct SourceCheck<'a> {
    check: Option<&'a str>,
}

/// The row of a backup, read back from its own archive.
pub(super) fn recovered(manifest: &Manifest, facts: ArchiveFacts) -> Recovered {
    let known = manifest.backup.clone();
    let datastore = manifest.datastore.clone();
    let backup = Backup {
        instance: known.instance_id,
        description: known.description,
        kind: manifest.kind,
        parent: known.parent_id,
        status: Status::Completed,
        container: known.container,
        updated: facts.verified_at,
        facts: Some(facts),
        progress: 1.0,
        ..Backup::new(known.id, known.project_id, known.name, datastore, known.created)
    };
    let (drill, damage, trashed) = (None, None, None);
    Recovered { backup, instance_name: Some(known.instance_name), drill, damage, trashed }
}

/// The shell commands that restore a full archive without Coffer, in the folder that it is in.
fn restore_commands(
    backup: &Backup,
    engine: &dyn Engine,
    instance: &Instance,
    is_encrypted: bool,
) -> Vec<String> {
    let file = Location::file_name(backup.id, Kind::Full);
    let unpacked = unpacked(&file, is_encrypted);
    let mut commands = vec![
        "mkdir restored".to_owned(),
        format!("{unpacked} | tar --xattrs --xattrs-include='*' -xpf - -C restored"),
    ];
    // An engine's hints hold paths that only the reader knows, so they are comments.
    commands.extend(
        engine
            .restore_hints(&instance.name, &instance.source)
            .into_iter()
            .map(|line| if line.starts_with('#') { line } else { format!("#   {line}") }),
    );
    commands
}

/// The command that gives the tar of a full archive. `key` is the file of the secret key.
pub(super) fn unpacked(file: &str, is_encrypted: bool) -> String {
    if is_encrypted {
        format!("age -d -i key {file}.age | zstd -dc")
    } else {
        format!("zstd -dc {file}")
    }
}

/// The text of `.coffer/RESTORE.txt`: for somebody who has this file and nothing else.
pub(super) fn restore_text(
    backup: &Backup,
    engine: &dyn Engine,
    instance: &Instance,
    chain: &[Backup],
    is_encrypted: bool,
) -> String {
    let what = format!(
        "backup {} of the {} instance {:?}, made {} (UTC)",
        backup.id,
        engine.name(),
        instance.name,
        backup.created.to_wire(),
    );
    if backup.kind == Kind::Full {
        return plain_restore_text(
            &what,
            &restore_commands(backup, engine, instance, is_encrypted),
        );
    }
    let files: Vec<String> = chain
        .iter()
        .map(|link| {
            let is_encrypted = link.facts.as_ref().is_some_and(|it| it.location.is_encrypted());
            format!("--archive {} ", file_name(link, is_encrypted))
        })
        .collect();
    let key = if is_encrypted { "--identity key " } else { "" };
    format!(
        "{INCREMENTAL}{what}.\n\n\
         It holds only what changed since the backups below, and needs their archives as well.\n\
         With Coffer, in a folder that holds them all:\n\n    \
         coffer restore {}--archive {} {key}--to PATH\n",
        files.concat(),
        file_name(backup, is_encrypted)
    )
}

fn file_name(backup: &Backup, is_encrypted: bool) -> String {
    let ending = if is_encrypted { ".age" } else { "" };
    format!("{}{ending}", Location::file_name(backup.id, backup.kind))
}

/// The text for a full archive: what it is, and the commands.
pub(super) fn plain_restore_text(what: &str, commands: &[String]) -> String {
    let mut text = format!(
        "This is a Coffer archive: full {what}.\n\n\
         It restores without Coffer, with GNU tar and zstd. In the folder of this archive:\n\n"
    );
    for command in commands {
        text.push_str("    ");
        text.push_str(command);
        text.push('\n');
    }
    text.push_str("\nWhat it holds is described in .coffer/manifest.json.\n");
    text
}
