//! Whether it was ever tried that somebody can read what is encrypted here. A key that is lost is missed at once, and not
//! when its first backup is to be restored.

use std::collections::BTreeMap;

use crate::catalog::Notice;
use crate::domain::with_causes;

use super::Context;

/// What backups are encrypted to, and what of them is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncryptedTo {
    /// Public keys, each once.
    pub keys: Vec<String>,
    /// Whether archives are encrypted, and not only copies.
    pub archives: bool,
}

impl EncryptedTo {
    /// That nobody tried these keys.
    fn untried(&self, keys: &[&str]) -> String {
        let what = if self.archives { "archives and copies" } else { "copies" };
        format!(
            "{what} are encrypted to {}, and it was never tried that a secret key reads them; without one they are worth nothing",
            keys.join(", ")
        )
    }
}

/// Takes note of what is encrypted from now on, and whether its keys were tried.
pub fn note_keys(context: &Context, keys: EncryptedTo) {
    context.places.set_encrypted_to(keys);
    if let Some(why) = look(context) {
        log::warn!("{why}: coffer key test FILE");
    }
}

/// The same after a while: a key may have been tried since.
pub(super) fn check(context: &Context) {
    if context.catalog.has_notice(Notice::KeyUntried) && look(context).is_none() {
        log::info!("a secret key was tried for each public one");
    }
}

fn look(context: &Context) -> Option<String> {
    let wanted = context.places.encrypted_to();
    let why = if wanted.keys.is_empty() {
        None
    } else {
        let tested = context.local.tested_keys().unwrap_or_else(|error| {
            log::debug!("which keys were tried is not known: {}", with_causes(&error));
            BTreeMap::default()
        });
        let untried: Vec<&str> =
            wanted.keys.iter().map(String::as_str).filter(|it| !tested.contains_key(*it)).collect();
        (!untried.is_empty()).then(|| wanted.untried(&untried))
    };
    context.catalog.set_notice(Notice::KeyUntried, why.clone());
    why
}
