//! `--from`: backups of a place, without the catalog that knows them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::archive::{Chain, Manifest};
use crate::config::{Config, PlaceConfig};
use crate::domain::{BackupId, Cancel, Location, is_device};
use crate::encryption::Keys;
use crate::executor::{Inventory, JobError};
use crate::server;
use crate::storage::{
    Disk, DiskSettings, EncryptedPlace, KeySource, LocalSettings, LoginSource, Place, S3,
    S3Settings, StoredArchive, Swift, SwiftSettings,
};

use super::backups::{Candidate, Selector, print_table};
use super::error::{CommandError, Result};
use super::terminal;

/// How a bucket that no configuration names is written.
const BUCKET: &str = "s3://";
/// How a container that no configuration names is written.
const CONTAINER: &str = "swift://";

/// A place by its name in the configuration, as `s3://bucket/prefix` or `swift://container/prefix`, or as a folder.
/// What is encrypted there is read with these keys.
pub(super) fn place(text: &str, config: &Config, keys: &Keys) -> Result<Arc<dyn Place>> {
    let identities = &keys.identities;
    let is_it = |it: &&PlaceConfig| it.name == text;
    if let Some((fleet, device)) = device_of(text, config)? {
        let device = fleet.of_device(device);
        return Ok(server::places::open(&device, config, identities).map_err(JobError::from)?);
    }
    if let Some(place) = config.places.iter().find(is_it) {
        return Ok(server::places::open(place, config, identities).map_err(JobError::from)?);
    }
    if let Some(bucket) = text.strip_prefix(BUCKET) {
        let bucket = S3::new(bucket_of(text, bucket)).map_err(JobError::from)?;
        return Ok(Arc::new(EncryptedPlace::new(Arc::new(bucket), Arc::clone(identities))));
    }
    if let Some(container) = text.strip_prefix(CONTAINER) {
        let container = Swift::new(container_of(text, container)?).map_err(JobError::from)?;
        return Ok(Arc::new(EncryptedPlace::new(Arc::new(container), Arc::clone(identities))));
    }
    let path = PathBuf::from(text);
    if path.join("archives").is_dir() {
        let local = LocalSettings::default();
        let settings = DiskSettings { name: text.to_owned(), path, apart_from: None, local };
        let disk = Disk::new(settings).map_err(JobError::from)?;
        return Ok(Arc::new(EncryptedPlace::new(Arc::new(disk), Arc::clone(identities))));
    }
    let names: Vec<_> = config.places.iter().map(|it| it.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(CommandError::NotFound(format!(
        "{text} is no place of the configuration (there is {known}), no s3://bucket/prefix or swift://container/prefix, and no folder that holds archives/"
    )))
}

/// The fleet and the device that `PLACE/DEVICE` means.
fn device_of<'a>(text: &'a str, config: &'a Config) -> Result<Option<(&'a PlaceConfig, &'a str)>> {
    let (name, device) = text.split_once('/').unwrap_or((text, ""));
    let Some(fleet) = config.fleets().find(|it| it.name == name) else { return Ok(None) };
    if is_device(device) {
        return Ok(Some((fleet, device)));
    }
    Err(CommandError::Usage(format!(
        "{name} holds the copies of many devices: name one, as {name}/DEVICE (coffer fleet lists them)"
    )))
}

/// What lies in a place.
pub(super) fn inventory(text: &str, config: &Config, keys: &Keys) -> Result<Inventory> {
    Ok(Inventory::read(place(text, config, keys)?, keys.signers.clone())?)
}

/// The value of the first of these variables that is set.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| env::var(name).ok())
}

/// The store of a bucket, as other programs' variables name it.
fn bucket_of(text: &str, bucket: &str) -> S3Settings {
    let region = variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = variable(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    S3Settings {
        name: text.to_owned(),
        endpoint: endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com")),
        region,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        path_style: true,
        ca_file: variable(&["AWS_CA_BUNDLE"]).map(PathBuf::from),
        keys: match variable(&["AWS_SHARED_CREDENTIALS_FILE"]) {
            Some(file) => KeySource::File(Path::new(&file).to_owned()),
            None => KeySource::Environment,
        },
        locks: false,
        patience: S3Settings::PATIENCE,
        retry_after: S3Settings::RETRY_AFTER,
    }
}

/// The store of a container, as the variables of OpenStack's own programs name it.
fn container_of(text: &str, container: &str) -> Result<SwiftSettings> {
    let (container, prefix) = container.split_once('/').unwrap_or((container, ""));
    let auth_url = variable(&["OS_AUTH_URL", "ST_AUTH"]).ok_or_else(|| {
        let why =
            format!("{text}: set OS_AUTH_URL (or ST_AUTH) and the other variables of a login");
        CommandError::Usage(why)
    })?;
    Ok(SwiftSettings {
        name: text.to_owned(),
        auth_url,
        region: variable(&["OS_REGION_NAME"]),
        container: container.to_owned(),
        prefix: prefix.to_owned(),
        ca_file: variable(&["OS_CACERT"]).map(PathBuf::from),
        login: LoginSource::Environment,
        patience: SwiftSettings::PATIENCE,
        retry_after: SwiftSettings::RETRY_AFTER,
    })
}

/// Opens the backup that is meant, with everything that it is built on.
pub(super) fn open(inventory: &Inventory, selector: &Selector, cancel: &Cancel) -> Result<Chain> {
    let id = match selector {
        Selector::Id(id) => *id,
        Selector::Latest(instance) => return latest(inventory, instance, cancel),
        Selector::Text(_) => {
            let candidates = || Ok(by_name(inventory, cancel));
            selector.find(candidates, inventory.place().name())?
        }
    };
    Ok(inventory.chain(id, cancel)?)
}

/// Where the archive of a backup lies; of the latest of an instance nothing is known that cannot be read.
pub(super) fn location(inventory: &Inventory, selector: &Selector) -> Result<Location> {
    let place = inventory.place().name();
    let id = match selector {
        Selector::Latest(instance) => {
            let why = format!("latest:{instance}: name the backup by its id (coffer list --from)");
            return Err(CommandError::Usage(why));
        }
        other => other.find(|| Ok(by_name(inventory, &Cancel::default())), place)?,
    };
    let found = inventory.archives().find(|(known, _)| *known == id);
    found
        .map(|(_, stored)| stored.location.clone())
        .ok_or_else(|| CommandError::NotFound(format!("{place} has no archive of backup {id}")))
}

/// The newest backup of an instance of which everything is there. All backups of an instance are in one folder, so
/// that one manifest of each tells which they are.
fn latest(inventory: &Inventory, instance: &str, cancel: &Cancel) -> Result<Chain> {
    let mut folders: BTreeMap<&str, Vec<(BackupId, &StoredArchive)>> = BTreeMap::new();
    for (id, stored) in inventory.archives() {
        let folder = stored.location.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push((id, stored));
    }
    let mut found: Vec<BackupId> = Vec::new();
    // Where nothing is found, what could not be read may be it.
    let mut why = None;
    for archives in folders.values() {
        let known = archives.iter().find_map(|(_, it)| match inventory.manifest(it, cancel) {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                why.get_or_insert(error);
                None
            }
        });
        if known.is_some_and(|it| is_of(&it, instance)) {
            found.extend(archives.iter().map(|(id, _)| *id));
        }
    }
    found.sort();
    why = why.filter(|_| found.is_empty());
    for id in found.into_iter().rev() {
        match inventory.chain(id, cancel) {
            Ok(chain) => return Ok(chain),
            Err(JobError::Cancelled) => return Err(JobError::Cancelled.into()),
            Err(error) => {
                terminal::warn(format_args!("backup {id} is passed over: {error}"));
                why.get_or_insert(error);
            }
        }
    }
    Err(why.map_or_else(
        || {
            let place = inventory.place().name();
            CommandError::NotFound(format!("{place} has no backup of an instance {instance:?}"))
        },
        CommandError::from,
    ))
}

fn is_of(manifest: &Manifest, instance: &str) -> bool {
    let backup = &manifest.backup;
    backup.instance_name == instance
        || backup.instance_id.is_some_and(|id| id.to_string() == instance)
}

/// Every backup by the name that its manifest has; one that cannot be read has none.
fn by_name(inventory: &Inventory, cancel: &Cancel) -> Vec<Candidate> {
    let candidate = |(id, stored): (BackupId, &StoredArchive)| {
        let manifest = inventory.manifest(stored, cancel).ok();
        let (name, instance) =
            manifest.map_or((String::new(), None), |it| (it.backup.name, it.backup.instance_id));
        Candidate {
            id,
            name,
            instance,
            instance_name: None,
            parent: None,
            usable: true,
            damaged: false,
        }
    };
    inventory.archives().map(candidate).collect()
}

/// What `coffer list --from` shows.
pub(super) struct Listing<'a> {
    pub(super) instance: Option<&'a str>,
    pub(super) limit: usize,
    pub(super) json: bool,
}

/// Lists what lies in a place. Only the manifests are read, one at a time.
pub(super) fn list(inventory: &Inventory, how: &Listing<'_>) -> Result<()> {
    let cancel = Cancel::default();
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    for (id, stored) in inventory.archives() {
        if rows.len() >= how.limit {
            break;
        }
        match inventory.manifest(stored, &cancel) {
            Ok(manifest) if how.instance.is_none_or(|it| is_of(&manifest, it)) => {
                rows.push((id, stored, manifest));
            }
            Ok(_other_instance) => {}
            Err(error) => unreadable.push((inventory.file_of(stored).to_string(), error)),
        }
    }
    if how.json {
        report_in_json(inventory, &rows, &unreadable);
    } else {
        for (location, error) in &unreadable {
            terminal::warn(format_args!("{location} cannot be read: {error}"));
        }
        report_as_text(inventory, &rows, unreadable.len());
    }
    match unreadable.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(error.into()),
    }
}

type Row<'a> = (BackupId, &'a StoredArchive, Manifest);

fn report_in_json(inventory: &Inventory, rows: &[Row<'_>], unreadable: &[(String, JobError)]) {
    let known: Vec<BackupId> = inventory.archives().map(|(id, _)| id).collect();
    let backups: Vec<_> = rows
        .iter()
        .map(|(id, stored, manifest)| {
            let missing: Vec<_> = manifest.chain.iter().filter(|it| !known.contains(it)).collect();
            json!({
                "id": id,
                "instance_id": manifest.backup.instance_id,
                "instance_name": manifest.backup.instance_name,
                "project_id": manifest.backup.project_id,
                "name": manifest.backup.name,
                "kind": manifest.kind,
                "parent_id": manifest.backup.parent_id,
                "created": manifest.backup.created.to_wire(),
                "size_bytes": stored.bytes,
                "source_bytes": manifest.totals.content_bytes,
                "location": stored.location.as_str(),
                "missing": missing,
            })
        })
        .collect();
    let unreadable: Vec<_> = unreadable
        .iter()
        .map(|(location, why)| json!({ "location": location, "why": why.to_string() }))
        .collect();
    terminal::say_json(&json!({ "backups": backups, "unreadable": unreadable }));
}

fn report_as_text(inventory: &Inventory, rows: &[Row<'_>], unreadable: usize) {
    if rows.is_empty() {
        let place = inventory.place().name();
        terminal::say(match unreadable {
            0 => format!("There are no backups in {place}."),
            _ => format!("No archive in {place} could be read, of {unreadable}."),
        });
        return;
    }
    let cells = |(id, stored, manifest): &Row<'_>| {
        [
            id.to_string(),
            manifest.backup.instance_name.clone(),
            manifest.backup.name.clone(),
            manifest.kind.as_str().to_owned(),
            terminal::human(stored.bytes),
            manifest.backup.created.to_wire(),
        ]
    };
    let headings = ["ID", "INSTANCE", "NAME", "KIND", "SIZE", "MADE (UTC)"];
    print_table(headings, rows.iter().map(cells).collect());
}
