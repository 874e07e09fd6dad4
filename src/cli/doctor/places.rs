//! The places that copies go to: whether each can be reached and written, is the one that it was, and keeps strangers
//! out; and those that copies lie in although the configuration does not name them any more.

use std::sync::Arc;

use crate::catalog::CatalogError;
use crate::config::{Config, PlaceConfig};
use crate::executor::Context;
use crate::server;
use crate::storage::{Local, Observation, Place, StorageError};

use super::finding::Findings;

const COPIES_WAIT: &str = "backups are made all the same; copies wait until this is mended";

pub(super) fn places(config: &Config, findings: &mut Findings) {
    // What is wrong with the catalog is said by its own check.
    let context = config.catalog_file().exists().then(|| server::open_existing(config).ok());
    let context = context.flatten();
    for place in config.copy_places() {
        look_at(config, place, context.as_ref(), findings);
    }
    fleets(config, findings);
    for place in unread(config) {
        findings.warning(
            &format!("place {}", place.name),
            "what it keeps for longer than data_dir stays in data_dir, too: its copies are encrypted, and no key on this \
             machine reads them",
            "name a secret key in encryption.identity_files if archives are to leave data_dir",
        );
    }
    let Some(context) = context else { return };
    if let Err(error) = removed(&context, findings) {
        findings.problem("places", error.to_string(), "see what is said of the catalog");
    }
    context.catalog.close();
}

/// The places with rules of their own whose copies cannot be read again here. That one cannot be opened is said of itself.
fn unread(config: &Config) -> impl Iterator<Item = &PlaceConfig> {
    let targets = server::places::of(config).unwrap_or_default();
    let unreadable = targets.into_iter().filter(|it| !it.readable);
    let names: Vec<String> = unreadable.map(|it| it.place.name().to_owned()).collect();
    config.copy_places().filter(move |it| it.keep.is_some() && names.contains(&it.name))
}

/// Whether each fleet can be read.
fn fleets(config: &Config, findings: &mut Findings) {
    const UNREAD: &str = "which devices are silent is not known until this is mended";
    let targets = match server::places::fleets(config) {
        Ok(targets) => targets,
        Err(error) => return findings.problem("fleet", error.to_string(), UNREAD),
    };
    for target in targets {
        let check = format!("fleet {}", target.fleet.name());
        match target.fleet.page("") {
            Ok(page) if page.archives.is_empty() => {
                let mend =
                    "see whether prefix or path is the one that the folders of the devices are in";
                findings.warning(&check, "there is no archive of any device", mend);
            }
            Ok(_some) => findings.ok(&check, "it can be read"),
            Err(error) => findings.problem(&check, error.to_string(), UNREAD),
        }
    }
}

fn look_at(
    config: &Config,
    place: &PlaceConfig,
    context: Option<&Context>,
    findings: &mut Findings,
) {
    let (check, name) = (format!("place {}", place.name), &place.name);
    let opened = match server::places::open(place, config, &Arc::default()) {
        Ok(opened) => opened,
        Err(error) => return findings.problem(&check, error.to_string(), COPIES_WAIT),
    };
    let known = context.and_then(|it| it.catalog.place_identity(name).ok().flatten());
    if let Some(known) = known {
        opened.expect(&known);
        if let Err(error) = same(&*opened, &known) {
            let advice = format!(
                "mount it, or set path to where it is; nothing is copied there until then. If that disk is lost for good: \
                 coffer catalog accept-loss --place {name}"
            );
            return findings.problem(&check, error.to_string(), advice);
        }
    }
    if let Err(error) = own(config, &*opened) {
        return findings.problem(&check, error.to_string(), COPIES_WAIT);
    }
    match opened.try_out() {
        Ok(found) => found.into_iter().for_each(|it| add(&check, it, findings)),
        Err(error) => findings.problem(&check, error.to_string(), COPIES_WAIT),
    }
}

/// Fails if this is not the disk that it was at its first copy.
fn same(place: &dyn Place, known: &str) -> Result<(), StorageError> {
    match place.identity()? {
        Some(found) if found == known => Ok(()),
        found => {
            let what = format!("the place {}", place.name());
            Err(StorageError::other_disk(what, known, found.as_deref()))
        }
    }
}

/// Fails if another data directory copies there. Makes nothing there.
fn own(config: &Config, opened: &dyn Place) -> Result<(), StorageError> {
    let Some(own) = Local::data_id(&config.data_dir)? else { return Ok(()) };
    match opened.owner() {
        // It is not free, so nothing is written.
        Ok(Some(other)) if other != own => opened.claim(own),
        // That it cannot be used is said when it is tried out.
        _ => Ok(()),
    }
}

/// Places that hold copies and are not in the configuration any more.
fn removed(context: &Context, findings: &mut Findings) -> Result<(), CatalogError> {
    for it in context.catalog.removed_places()? {
        let advice = format!(
            "put its [[places]] back into the configuration; or, if what lies there is not needed or lost: coffer catalog \
             accept-loss --place {}",
            it.place
        );
        let check = format!("place {}", it.place);
        if it.only_there > 0 {
            findings.problem(&check, it.to_string(), advice);
        } else {
            findings.warning(&check, it.to_string(), advice);
        }
    }
    Ok(())
}

fn add(check: &str, found: Observation, findings: &mut Findings) {
    match found {
        Observation::Good(text) => findings.ok(check, text),
        Observation::Warning(text, advice) => findings.warning(check, text, advice),
        Observation::Problem(text, advice) => findings.problem(check, text, advice),
    }
}
