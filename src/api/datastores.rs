//! `…/datastores`: Trove's name for engines, with the versions of databases that there are backups of.

use actix_web::web::Json;

use crate::catalog::Read;
use crate::domain::Datastore;
use crate::wire::{
    DatastoreAnswer, DatastoreList, DatastoreVersion, DatastoreView, VersionAnswer, VersionList,
};

use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![
        list_datastores,
        show_version,
        show_datastore,
        list_versions_of_datastore,
        show_version_of_datastore,
    ]
}

/// The known datastores, and the request that the links of the answer are made for.
struct Known<'c> {
    datastores: Vec<Datastore>,
    call: &'c Call<Read>,
}

impl<'c> Known<'c> {
    fn read(call: &'c Call<Read>) -> Result<Self, ApiError> {
        let datastores = call.state.catalog.datastores()?;
        Ok(Self { datastores, call })
    }

    fn engine(&self, wanted: &str) -> Result<&str, ApiError> {
        let mut engines = self.datastores.iter().map(|datastore| datastore.engine.as_str());
        engines
            .find(|engine| *engine == wanted || Datastore::datastore_id(engine) == wanted)
            .ok_or_else(|| ApiError::NotFound(format!("Datastore '{wanted:.80}' cannot be found.")))
    }

    fn versions_of<'k>(&'k self, engine: &'k str) -> impl Iterator<Item = &'k Datastore> {
        self.datastores.iter().filter(move |datastore| datastore.engine == engine)
    }

    fn datastore(&self, engine: &str) -> DatastoreView {
        let id = Datastore::datastore_id(engine);
        let versions: Vec<DatastoreVersion> = self
            .versions_of(engine)
            .map(|it| DatastoreVersion { datastore: None, ..self.version(it) })
            .collect();
        DatastoreView {
            links: self.call.links(&format!("datastores/{id}")),
            id,
            name: engine.to_owned(),
            default_version: versions.last().map(|version| version.id.clone()),
            versions,
        }
    }

    fn version(&self, datastore: &Datastore) -> DatastoreVersion {
        let id = datastore.version_id();
        DatastoreVersion {
            links: self.call.links(&format!("datastores/versions/{id}")),
            id,
            name: datastore.version.clone(),
            version: datastore.version.clone(),
            datastore: Some(Datastore::datastore_id(&datastore.engine)),
        }
    }
}

/// Trove answers 400 and not 404, and so do we.
fn no_such_version(wanted: &str) -> ApiError {
    ApiError::BadRequest(format!("Datastore version '{wanted:.80}' cannot be found."))
}

/// List datastores
#[utoipa::path(
    get,
    path = "/datastores",
    responses((status = 200, description = "All of them.", body = DatastoreList))
)]
async fn list_datastores(call: Call<Read>) -> Result<Json<DatastoreList>, ApiError> {
    let known = Known::read(&call)?;
    let mut engines: Vec<&str> = Vec::new();
    for datastore in &known.datastores {
        if !engines.contains(&datastore.engine.as_str()) {
            engines.push(&datastore.engine);
        }
    }
    let datastores = engines.into_iter().map(|engine| known.datastore(engine)).collect();
    Ok(Json(DatastoreList { datastores }))
}

/// Show a datastore
#[utoipa::path(
    get,
    path = "/datastores/{datastore}",
    responses((status = 200, description = "The datastore.", body = DatastoreAnswer))
)]
async fn show_datastore(call: Call<Read>) -> Result<Json<DatastoreAnswer>, ApiError> {
    let known = Known::read(&call)?;
    let engine = known.engine(call.path_parameter("datastore"))?;
    Ok(Json(DatastoreAnswer { datastore: known.datastore(engine) }))
}

/// List the versions of a datastore
#[utoipa::path(
    get,
    path = "/datastores/{datastore}/versions",
    responses((status = 200, description = "All of them.", body = VersionList))
)]
async fn list_versions_of_datastore(call: Call<Read>) -> Result<Json<VersionList>, ApiError> {
    let known = Known::read(&call)?;
    let engine = known.engine(call.path_parameter("datastore"))?;
    let versions = known.versions_of(engine).map(|it| known.version(it)).collect();
    Ok(Json(VersionList { versions }))
}

/// Show a version of a datastore
#[utoipa::path(
    get,
    path = "/datastores/{datastore}/versions/{version}",
    responses((status = 200, description = "The version.", body = VersionAnswer))
)]
async fn show_version_of_datastore(call: Call<Read>) -> Result<Json<VersionAnswer>, ApiError> {
    let known = Known::read(&call)?;
    let engine = known.engine(call.path_parameter("datastore"))?;
    let wanted = call.path_parameter("version");
    let found = known
        .versions_of(engine)
        .find(|it| it.version == wanted || it.version_id() == wanted)
        .ok_or_else(|| no_such_version(wanted))?;
    Ok(Json(VersionAnswer { version: known.version(found) }))
}

/// Show a version by its id
#[utoipa::path(
    get,
    path = "/datastores/versions/{version}",
    responses((status = 200, description = "The version.", body = VersionAnswer))
)]
async fn show_version(call: Call<Read>) -> Result<Json<VersionAnswer>, ApiError> {
    let known = Known::read(&call)?;
    let wanted = call.path_parameter("version");
    let mut datastores = known.datastores.iter();
    let found = datastores
        .find(|datastore| datastore.version_id() == wanted)
        .ok_or_else(|| no_such_version(wanted))?;
    Ok(Json(VersionAnswer { version: known.version(found) }))
}
