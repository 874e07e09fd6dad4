//! Encryption: whether a secret key was ever tried for each public one, and whether those on this machine can be used.

use std::os::unix::fs::MetadataExt as _;

use crate::config::Config;
use crate::domain::shell_word;
use crate::encryption::Identities;
use crate::server;
use crate::storage::{Local, LocalSettings};

use super::finding::Findings;

const CHECK: &str = "encryption";

pub(super) fn keys(config: &Config, findings: &mut Findings) {
    let mut ours = Identities::default();
    for file in server::keys::files(config) {
        let shown = file.display();
        let name = shown.to_string();
        let added = Identities::content(&file).and_then(|it| ours.add(&name, &it, &|_name| None));
        if let Err(error) = added {
            let advice = "encrypted archives cannot be read here; mend the file, or remove it from \
                          encryption.identity_files if it is not needed on this machine";
            findings.problem(CHECK, error.to_string(), advice);
            continue;
        }
        let mode = file.metadata().map_or(0, |it| it.mode() & 0o7777);
        if mode & 0o077 != 0 {
            let found = format!("the secret key {shown} can be read by others (mode {mode:o})");
            findings.problem(CHECK, found, format!("chmod 600 {}", shell_word(file)));
        } else {
            findings.ok(CHECK, format!("the secret key {shown} can be used on this machine"));
        }
    }
    if let Some(found) = server::keys::useless(config, &ours) {
        let advice = "name the key that belongs to it, or none on a machine that is to read nothing; coffer key show FILE says \
                      which public key a file is of";
        findings.warning(CHECK, found, advice);
    }
    if let (Some(own), false) =
        (server::keys::own_signer(config), config.encryption.signers.is_empty())
    {
        let others = config.encryption.signers.join(", ");
        findings
            .ok(CHECK, format!("archives of {others} are taken, and those of this machine, {own}"));
    }
    unreadable_archives(config, findings);
    let Ok(configured) = server::keys::configured(config) else { return };
    let tested = Local::existing(&config.data_dir, LocalSettings::default())
        .and_then(|local| local.tested_keys())
        .unwrap_or_default();
    let archives = !config.archive_recipients().is_empty();
    let what = if archives { "archives and copies are" } else { "the copies are" };
    for recipient in configured {
        match tested.get(&recipient) {
            Some(at) => {
                let text = format!("a key for {recipient} was tried {} UTC", at.to_wire());
                findings.ok(CHECK, text);
            }
            None => findings.warning(
                CHECK,
                format!("it was never tried that a secret key reads what is encrypted to {recipient}"),
                format!(
                    "without that key {what} worth nothing: coffer key test FILE, with the key from where you keep it, or - \
                     for one that is typed from its recovery sheet"
                ),
            ),
        }
    }
}

/// What this machine cannot do with archives that it cannot read.
fn unreadable_archives(config: &Config, findings: &mut Findings) {
    if config.archive_recipients().is_empty() {
        return;
    }
    if !server::keys::cannot_read_archives(config) {
        findings.ok(CHECK, "archives are encrypted, and a key on this machine reads them");
        return;
    }
    let (found, advice) = (
        "archives are encrypted, and no key on this machine reads them: it makes backups and proves them, but makes no \
         drill of them, no restore, and no full backup of an incremental one (consolidate)",
        "make drills elsewhere, with the key: coffer drill latest:INSTANCE --from PLACE --identity FILE",
    );
    let drills = config.drilled();
    if drills.is_empty() {
        findings.ok(CHECK, format!("{found}; {advice}"));
    } else {
        findings.warning(
            CHECK,
            format!("{found}: those of {} will fail", drills.join(", ")),
            advice,
        );
    }
}
