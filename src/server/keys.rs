//! The secret keys that this machine may read encrypted archives with. It needs none to make backups.

use std::collections::BTreeSet;
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::Notice;
use crate::config::Config;
use crate::encryption::{
    AskPassphrase, EncryptionError, Identities, Keys, PublicKey, Recipients, Signers, SigningKey,
};
use crate::executor::{self, Context, EncryptedTo};
use crate::storage::{Local, LocalSettings, StorageError};

/// Where systemd puts credentials for a service.
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// What a credential of systemd with a key is called.
const CREDENTIAL: &str = "coffer-identity";

/// The files of secret keys that the configuration names, and what systemd handed over.
pub fn files(config: &Config) -> Vec<PathBuf> {
    let credential = env::var_os(CREDENTIALS).map(|folder| Path::new(&folder).join(CREDENTIAL));
    let mut files = config.encryption.identity_files.clone();
    files.extend(credential.filter(|it| it.exists()));
    files
}

/// Reads the secret keys in these files and in those of the configuration; and whose archives are trusted: by these
/// signers, or else by those of the configuration and this machine itself.
pub fn read(
    config: &Config,
    (more, signers): (&[PathBuf], &[PublicKey]),
    ask: AskPassphrase<'_>,
) -> Result<Keys, EncryptionError> {
    let identities = Identities::read(&[more, &files(config)].concat(), ask)?;
    let signers = if signers.is_empty() {
        Signers::parse(&config.encryption.signers)?.and_own(own_signer(config))
    } else {
        Signers::only(signers)
    };
    Ok(Keys { identities: Arc::new(identities), signers })
}

/// The secret keys in these files, whose passphrases are asked for, and those of the configuration that can be read without
/// one: for backups of the catalog, most of which need no key.
pub fn for_catalog(
    config: &Config,
    more: &[PathBuf],
    ask: AskPassphrase<'_>,
) -> Result<Arc<Identities>, EncryptionError> {
    let mut identities = Identities::read(more, ask)?;
    for file in files(config) {
        let name = file.display().to_string();
        let added = Identities::content(&file).and_then(|it| identities.add(&name, &it, &|_| None));
        if let Err(error) = added {
            log::error!("encrypted archives cannot be read with it: {error}");
        }
    }
    Ok(Arc::new(identities))
}

/// By what this machine signs its archives, if that can be read.
pub fn own_signer(config: &Config) -> Option<PublicKey> {
    let local = Local::existing(&config.data_dir, LocalSettings::default());
    let key = local.and_then(|local| signer(&local)).ok().flatten();
    key.map(|it| it.public())
}

/// Every public key of the configuration, once.
pub fn configured(config: &Config) -> Result<Vec<String>, EncryptionError> {
    let of_places = config.copy_places().flat_map(|place| config.recipients_of(place));
    let mut keys = Vec::new();
    for text in config.encryption.recipients.iter().chain(of_places) {
        let parsed = Recipients::parse(&[text])?;
        keys.extend(parsed.iter().flat_map(|it| it.texts().iter().cloned()));
    }
    keys.sort();
    keys.dedup();
    Ok(keys)
}

/// The public keys that archives are encrypted to when they are written.
pub(super) fn archive_recipients(config: &Config) -> Result<Option<Recipients>, StorageError> {
    Recipients::parse(config.archive_recipients()).map_err(|source| {
        let what = "encryption.recipients of the configuration".to_owned();
        StorageError::Encryption { what, source }
    })
}

/// Whether one of the keys of this machine reads what is encrypted to these.
pub(super) fn is_readable(recipients: Option<&Recipients>, identities: &Identities) -> bool {
    // A key of OpenSSH may have a comment.
    let key = |text: &str| text.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    let ours: Vec<_> = identities.public_keys().iter().map(|it| key(it)).collect();
    recipients.is_none_or(|all| all.texts().iter().any(|it| ours.contains(&key(it))))
}

/// Whether archives are encrypted that nothing on this machine can read.
pub fn cannot_read_archives(config: &Config) -> bool {
    let recipients = archive_recipients(config).ok().flatten();
    !is_readable(recipients.as_ref(), &available(config))
}

/// What signs the archives of this data directory; `None`: nothing yet, or this user may not.
pub(super) fn signer(local: &Local) -> Result<Option<Arc<SigningKey>>, StorageError> {
    let seed = match local.signing_seed() {
        Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            None
        }
        seed => seed?,
    };
    let key = seed.map(|seed| SigningKey::from_seed(&seed)).transpose();
    let what = || "signing.key in the data directory".to_owned();
    let key = key.map_err(|source| StorageError::Encryption { what: what(), source })?;
    Ok(key.map(Arc::new))
}

/// Says what is wrong with the keys of the configuration, in the log and in the health of the server: a key that is lost,
/// or another one than was meant, is missed now and not at the first restore. Backups go on without.
pub(super) fn note(config: &Config, context: &Context) {
    let keys = configured(config).unwrap_or_default();
    executor::note_keys(
        context,
        EncryptedTo { keys, archives: !config.archive_recipients().is_empty() },
    );
    let unusable = unusable(config);
    if let Some(why) = &unusable {
        log::error!("{why}");
    }
    context.catalog.set_notice(Notice::KeyUnusable, unusable);
}

/// What is wrong with the secret keys of the configuration. A machine that has none needs none.
fn unusable(config: &Config) -> Option<String> {
    let (identities, mut wrong) = each(config);
    wrong.extend(useless(config, &identities));
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// That there are secret keys, and none of them reads what is encrypted to the public ones of the configuration.
pub fn useless(config: &Config, identities: &Identities) -> Option<String> {
    if identities.is_empty() {
        return None;
    }
    let lists = config.copy_places().map(|place| config.recipients_of(place));
    let lists = lists.chain([config.archive_recipients()]);
    let unread: BTreeSet<&str> = lists
        .filter(|list| {
            let recipients = Recipients::parse(list).ok().flatten();
            !is_readable(recipients.as_ref(), identities)
        })
        .flatten()
        .map(String::as_str)
        .collect();
    let unread: Vec<&str> = unread.into_iter().collect();
    (!unread.is_empty()).then(|| {
        format!(
            "none of the secret keys of encryption.identity_files ({identities}) reads what is encrypted to {}",
            unread.join(", ")
        )
    })
}

/// The keys of the configuration that a process can read which nobody can be asked by, and what is wrong with the others.
fn each(config: &Config) -> (Identities, Vec<String>) {
    let (mut identities, mut wrong) = (Identities::default(), Vec::new());
    for file in files(config) {
        let name = file.display().to_string();
        let added = Identities::content(&file).and_then(|it| identities.add(&name, &it, &|_| None));
        wrong.extend(
            added.err().map(|error| format!("encrypted archives cannot be read with it: {error}")),
        );
    }
    (identities, wrong)
}

/// Those of the configuration, for a process that nobody can be asked by. One that cannot be read is no reason to do
/// without the others; what is wrong with it [`note`] says.
pub(super) fn available(config: &Config) -> Arc<Identities> {
    let (identities, wrong) = each(config);
    for why in wrong {
        log::debug!("{why}");
    }
    Arc::new(identities)
}
