//! Datastores and their versions as they go over the wire.

use serde::Serialize;

use crate::domain::Datastore;

use super::error::ApiError;
use super::link::{self, Link};

/// The engine that a name or an id means.
pub(super) fn engine_named<'k>(wanted: &str, known: &'k [Datastore]) -> Result<&'k str, ApiError> {
    known
        .iter()
        .map(|datastore| datastore.engine.as_str())
        .find(|engine| *engine == wanted || Datastore::datastore_id(engine) == wanted)
        .ok_or_else(|| {
            let shown: String = wanted.chars().take(80).collect();
            ApiError::NotFound(format!("Datastore '{shown}' cannot be found."))
        })
}

/// The version that a name or an id means. Trove answers 400, not 404, and so do we.
pub(super) fn version_named<'k>(
    wanted: &str,
    known: impl IntoIterator<Item = &'k Datastore>,
) -> Result<&'k Datastore, ApiError> {
    known
        .into_iter()
        .find(|datastore| datastore.version == wanted || datastore.version_id() == wanted)
        .ok_or_else(|| {
            let shown: String = wanted.chars().take(80).collect();
            ApiError::BadRequest(format!("Datastore version '{shown}' cannot be found."))
        })
}

/// An engine with its versions.
#[derive(Debug, Serialize)]
pub(super) struct DatastoreView {
    id: String,
    name: String,
    links: [Link; 2],
    versions: Vec<VersionView>,
    /// One of `versions`; the stock client looks it up there.
    default_version: Option<String>,
}

/// One version.
#[derive(Debug, Serialize)]
pub(super) struct VersionView {
    id: String,
    name: String,
    version: String,
    links: [Link; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    datastore: Option<String>,
}

/// Where the links of an answer lead.
pub(super) struct Place {
    /// Scheme and host.
    pub(super) base: String,
    /// The project of the path.
    pub(super) project: String,
}

/// Every engine on the wire, in the order they come.
pub(super) fn datastores(place: &Place, known: &[Datastore]) -> Vec<DatastoreView> {
    let mut engines: Vec<&str> = Vec::new();
    for datastore in known {
        if !engines.contains(&datastore.engine.as_str()) {
            engines.push(&datastore.engine);
        }
    }
    engines.into_iter().map(|engine| datastore(place, engine, known)).collect()
}

/// One engine on the wire.
pub(super) fn datastore(place: &Place, engine: &str, known: &[Datastore]) -> DatastoreView {
    let id = Datastore::datastore_id(engine);
    let versions: Vec<VersionView> = known
        .iter()
        .filter(|datastore| datastore.engine == engine)
        .map(|datastore| VersionView { datastore: None, ..version(place, datastore) })
        .collect();
    DatastoreView {
        links: link::of_thing(&place.base, &place.project, &format!("datastores/{id}")),
        id,
        name: engine.to_owned(),
        default_version: versions.last().map(|version| version.id.clone()),
        versions,
    }
}

/// One version on the wire, with the id of its engine.
pub(super) fn version(place: &Place, datastore: &Datastore) -> VersionView {
    let id = datastore.version_id();
    VersionView {
        links: link::of_thing(&place.base, &place.project, &format!("datastores/versions/{id}")),
        id,
        name: datastore.version.clone(),
        version: datastore.version.clone(),
        datastore: Some(Datastore::datastore_id(&datastore.engine)),
    }
}
