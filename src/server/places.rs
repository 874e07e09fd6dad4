//! The places of the configuration, ready to be used.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::{Catalog, CatalogError, ConfiguredPlace, FleetRules};
use crate::config::{Config, PlaceConfig, PlaceKind, PlaceRole};
use crate::domain::InstanceId;
use crate::encryption::{Identities, Recipients, Signers};
use crate::executor::{CopyTarget, FleetTarget, Pace};
use crate::policy::Span;
use crate::storage::{
    Disk, DiskSettings, EncryptedPlace, Fleet, KeySource, LocalSettings, LoginSource, Place, S3,
    S3Settings, StorageError, Swift, SwiftSettings,
};

use super::keys;

/// The region that most stores take if none was given.
const REGION: &str = "us-east-1";

/// Where the backups of each instance are copied to.
fn copies(config: &Config) -> HashMap<InstanceId, Vec<String>> {
    let copies = config.instances.iter().map(|it| (it.instance_id(), it.copies(&config.defaults)));
    copies.map(|(id, names)| (id, names.to_vec())).collect()
}

/// The places as the catalog is to know them; `targets` are the same, ready to be used.
fn configured(config: &Config, targets: &[CopyTarget]) -> Vec<ConfiguredPlace> {
    let known = |(place, target): (&PlaceConfig, &CopyTarget)| ConfiguredPlace {
        name: place.name.clone(),
        // A configuration with wrong rules is not taken over.
        keep: place.keep().ok().flatten(),
        readable: target.readable,
    };
    config.copy_places().zip(targets).map(known).collect()
}

/// Gives the catalog the places of the configuration, and each place the disk that it was at its first copy.
pub(super) fn set_in(
    catalog: &Catalog,
    config: &Config,
    targets: &[CopyTarget],
) -> Result<(), CatalogError> {
    for target in targets {
        if let Some(identity) = catalog.place_identity(target.place.name())? {
            target.place.expect(&identity);
        }
    }
    catalog.set_copies(copies(config));
    catalog.set_places(configured(config, targets));
    Ok(())
}

/// The places of the configuration, ready to be copied to. Connects to nothing.
pub fn of(config: &Config) -> Result<Vec<CopyTarget>, StorageError> {
    read_with(config, &keys::available(config))
}

/// The same, read with these keys.
pub(super) fn read_with(
    config: &Config,
    identities: &Arc<Identities>,
) -> Result<Vec<CopyTarget>, StorageError> {
    let target = |place: &PlaceConfig| {
        let recipients = recipients(place, config)?;
        Ok(CopyTarget {
            place: open(place, config, identities)?,
            readable: keys::is_readable(recipients.as_ref(), identities),
            recipients,
            pace: Arc::new(Pace::kib_per_second(place.max_kib_s)),
            keep_deleted: place.keep_deleted,
            retry_after: CopyTarget::RETRY_AFTER,
            window: place.window().ok().flatten().map(|it| (it, config.defaults.zone_or_utc())),
            lock: place.lock().ok().flatten().map(Span::duration),
        })
    };
    config.copy_places().map(target).collect()
}

/// The fleets of the configuration, ready to be read. Connects to nothing.
pub fn fleets(config: &Config) -> Result<Vec<FleetTarget>, StorageError> {
    if config.fleets().next().is_none() {
        return Ok(Vec::new());
    }
    let identities = keys::available(config);
    let signers =
        Signers::parse(&config.encryption.signers).map_err(|source| StorageError::Encryption {
            what: "encryption.signers of the configuration".to_owned(),
            source,
        })?;
    let signers = signers.and_own(keys::own_signer(config));
    let target = |place: &PlaceConfig| {
        let fleet: Arc<dyn Fleet> = match place.kind {
            PlaceKind::Disk => Arc::new(disk(place, config)?),
            PlaceKind::S3 => Arc::new(S3::new(s3_settings(place))?),
            PlaceKind::Swift => Arc::new(Swift::new(swift_settings(place))?),
        };
        Ok(FleetTarget {
            fleet,
            identities: Arc::clone(&identities),
            signers: signers.clone(),
            every: place.refresh().unwrap_or(PlaceConfig::REFRESH),
            rules: FleetRules {
                place: place.name.clone(),
                silent_after: place.silent_after().ok().flatten(),
                retired: place.retired.clone().unwrap_or_default(),
            },
        })
    };
    config.fleets().map(target).collect()
}

fn disk(place: &PlaceConfig, config: &Config) -> Result<Disk, StorageError> {
    // Nothing is copied to a fleet, so it need not be apart from what it protects.
    let apart_from =
        (!place.same_disk && place.role == PlaceRole::Copies).then(|| config.data_dir.clone());
    let local = LocalSettings {
        headroom_bytes: config.storage.headroom_bytes(),
        ..LocalSettings::default()
    };
    let path = place.path.clone().unwrap_or_default();
    Disk::new(DiskSettings { name: place.name.clone(), path, apart_from, local })
}

fn recipients(place: &PlaceConfig, config: &Config) -> Result<Option<Recipients>, StorageError> {
    Recipients::parse(config.recipients_of(place)).map_err(|source| {
        let what = format!("the place {} of the configuration", place.name);
        StorageError::Encryption { what, source }
    })
}

/// A place of the configuration, read with these keys. Connects to nothing, and makes nothing.
pub fn open(
    place: &PlaceConfig,
    config: &Config,
    identities: &Arc<Identities>,
) -> Result<Arc<dyn Place>, StorageError> {
    let inner: Arc<dyn Place> = match place.kind {
        PlaceKind::Disk => Arc::new(disk(place, config)?),
        PlaceKind::S3 => Arc::new(S3::new(s3_settings(place))?),
        PlaceKind::Swift => Arc::new(Swift::new(swift_settings(place))?),
    };
    Ok(Arc::new(EncryptedPlace::new(inner, Arc::clone(identities))))
}

fn s3_settings(place: &PlaceConfig) -> S3Settings {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    S3Settings {
        name: place.name.clone(),
        endpoint: text(&place.endpoint),
        region: place.region.clone().unwrap_or_else(|| REGION.to_owned()),
        bucket: text(&place.bucket),
        prefix: text(&place.prefix),
        path_style: place.path_style.unwrap_or(true),
        ca_file: place.ca_file.clone(),
        keys: match &place.credentials_file {
            Some(file) => KeySource::File(file.clone()),
            None => credential(&place.name).map_or(KeySource::Environment, KeySource::Systemd),
        },
        locks: place.lock.is_some(),
        patience: S3Settings::PATIENCE,
        retry_after: S3Settings::RETRY_AFTER,
    }
}

fn swift_settings(place: &PlaceConfig) -> SwiftSettings {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    SwiftSettings {
        name: place.name.clone(),
        auth_url: text(&place.auth_url),
        region: place.region.clone(),
        container: text(&place.container),
        prefix: text(&place.prefix),
        ca_file: place.ca_file.clone(),
        login: match &place.credentials_file {
            Some(file) => LoginSource::File(file.clone()),
            None => credential(&place.name).map_or(LoginSource::Environment, LoginSource::Systemd),
        },
        patience: SwiftSettings::PATIENCE,
        retry_after: SwiftSettings::RETRY_AFTER,
    }
}

/// What systemd handed over under the name of a place; without it and a file, the environment is asked.
fn credential(name: &str) -> Option<PathBuf> {
    let credential = env::var_os(keys::CREDENTIALS).map(|folder| Path::new(&folder).join(name));
    credential.filter(|it| it.exists())
}
