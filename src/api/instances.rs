//! `…/instances`: the databases, and restores, which create new ones.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Json;

use crate::catalog::{Admin, InstancePage, NewInstance, Permission, Read, Write};
use crate::domain::{Instance, InstanceId, InstanceOrigin, ProjectId};
use crate::wire::{
    CreateInstanceBody, ErrorBody, FlavorRef, InstanceAddress, InstanceAnswer, InstanceDatastore,
    InstanceFault, InstanceList, InstanceView, VolumeView, gigabytes,
};

use super::error::ApiError;
use super::extract::{self, Body, Call, PageParameters};
use super::operation::{Operation, operations};
use super::page_body::{self, Batch, ROWS, Rest, Rows};

/// The region that Trove names if none is given.
const REGION: &str = "RegionOne";

pub(super) fn routes() -> Vec<Operation> {
    operations![
        list_instances,
        create_instance,
        list_instances_in_detail,
        show_instance,
        delete_instance,
        list_all_instances,
    ]
}

/// List instances
#[utoipa::path(
    get,
    path = "/instances",
    params(PageParameters),
    responses((status = 200, description = "One page.", body = InstanceList))
)]
async fn list_instances(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    InstanceRows::answer(call, false, |call, after, rows| {
        Ok(call.state.catalog.instances(&call.scope, after, rows)?)
    })
    .await
}

type ReadPage<P> = fn(&Call<P>, Option<InstanceId>, u32) -> Result<InstancePage, ApiError>;

/// The rows of a page that were not written yet.
struct InstanceRows<P> {
    call: Call<P>,
    /// Whether the rows name their project.
    of_all: bool,
    read_page: ReadPage<P>,
    after: Option<InstanceId>,
    left: u32,
}

impl<P: Permission> InstanceRows<P> {
    async fn answer(
        call: Call<P>,
        of_all: bool,
        read_page: ReadPage<P>,
    ) -> Result<HttpResponse, ApiError> {
        let (query, most) = (call.query()?, call.state.instance_page);
        let left = extract::limit(&query, most, most)?.rows();
        let after = query.filter("marker")?.map(marker).transpose()?;
        page_body::answer(Self { call, of_all, read_page, after, left }).await
    }
}

impl<P: Permission> Rows for InstanceRows<P> {
    type Row = InstanceView;
    const KEY: &'static str = "instances";

    fn who(&self) -> &str {
        self.call.who()
    }

    fn read(&mut self) -> Result<Batch<InstanceView>, ApiError> {
        let (call, limit) = (&self.call, self.left.min(ROWS));
        let page = (self.read_page)(call, self.after, limit)?;
        self.left = self.left.saturating_sub(limit);
        self.after = page.next;
        let rest = match page.next {
            None => Rest::End(None),
            Some(_next) if self.left > 0 => Rest::Rows,
            Some(next) => Rest::End(Some(call.url().next_page(&next.to_string()))),
        };
        let view = |row: &Instance| InstanceView {
            tenant_id: self.of_all.then(|| row.project.clone()),
            ..instance(call, &row.project, row)
        };
        Ok(Batch { rows: page.rows.iter().map(view).collect(), rest })
    }
}

fn marker(text: &str) -> Result<InstanceId, ApiError> {
    text.parse().map_err(|error| ApiError::BadRequest(format!("marker: {error}")))
}

/// List instances: the same as without `detail`
#[utoipa::path(
    get,
    path = "/instances/detail",
    params(PageParameters),
    responses((status = 200, description = "One page.", body = InstanceList))
)]
async fn list_instances_in_detail(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    list_instances(call).await
}

/// List the instances of every project (administrators)
#[utoipa::path(
    get,
    path = "/mgmt/instances",
    params(PageParameters),
    responses((status = 200, description = "One page.", body = InstanceList))
)]
async fn list_all_instances(call: Call<Admin>) -> Result<HttpResponse, ApiError> {
    InstanceRows::answer(call, true, |call, after, rows| {
        Ok(call.state.catalog.all_instances(&call.scope, after, rows)?)
    })
    .await
}

/// Show an instance
#[utoipa::path(
    get,
    path = "/instances/{id}",
    responses((status = 200, description = "The instance.", body = InstanceAnswer))
)]
async fn show_instance(call: Call<Read>) -> Result<Json<InstanceAnswer>, ApiError> {
    let id = call.id()?;
    let row = call.state.catalog.instance(&call.scope, id)?;
    Ok(Json(InstanceAnswer { instance: instance(&call, call.scope.project(), &row) }))
}

/// Restore a backup into a new instance
#[utoipa::path(
    post,
    path = "/instances",
    request_body = CreateInstanceBody,
    responses(
        (status = 200, description = "Accepted.", body = InstanceAnswer),
        (status = 422, description = "The backup cannot be restored now.", body = ErrorBody),
        (status = 501, description = "The datastore has no engine here.", body = ErrorBody),
    )
)]
async fn create_instance(
    call: Call<Write>,
    Body(body): Body<CreateInstanceBody>,
) -> Result<Json<InstanceAnswer>, ApiError> {
    let wanted = body.instance;
    let datastore = wanted.datastore.unwrap_or_default();
    let new = NewInstance {
        name: wanted.name,
        backup: wanted.restore_point.backup_ref,
        engine: datastore.engine,
        version: datastore.version,
    };
    let row = call.state.catalog.create_instance(&call.scope, new).done().await?;
    Ok(Json(InstanceAnswer { instance: instance(&call, call.scope.project(), &row) }))
}

/// Delete a restored instance with its data
#[utoipa::path(
    delete,
    path = "/instances/{id}",
    responses(
        (status = 202, description = "Accepted."),
        (status = 422, description = "It is in use, or is one of the configuration.", body = ErrorBody),
    )
)]
async fn delete_instance(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    call.state.catalog.delete_instance(&call.scope, id).done().await?;
    Ok(HttpResponse::Accepted().finish())
}

/// An instance as clients see it, with links below this project.
fn instance<P: Permission>(call: &Call<P>, project: &ProjectId, row: &Instance) -> InstanceView {
    let links = |path: &str| call.links_in(project.as_str(), path);
    let (restored_from, restored_to) = match row.origin {
        InstanceOrigin::Configured => (None, None),
        InstanceOrigin::Restored(backup) => {
            (Some(backup), row.source.text("path").map(str::to_owned))
        }
    };
    InstanceView {
        id: row.id,
        name: row.name.clone(),
        status: row.status,
        operating_status: if row.failure.is_some() { "FAILED" } else { "HEALTHY" }.to_owned(),
        links: links(&format!("instances/{}", row.id)),
        flavor: FlavorRef { id: "1".to_owned(), links: links("flavors/1") },
        datastore: InstanceDatastore {
            engine: row.datastore.engine.clone(),
            version: row.datastore.version.clone(),
            version_number: row.datastore.version.clone(),
        },
        region: REGION.to_owned(),
        addresses: row.source.ip_address().map(InstanceAddress::from).into_iter().collect(),
        access: BTreeMap::new(),
        volume: VolumeView {
            size: row.used_bytes.div_ceil(1 << 30).max(1),
            used: gigabytes(row.used_bytes),
        },
        created: row.created.into(),
        updated: row.updated.into(),
        service_status_updated: row.updated.into(),
        fault: row.failure.as_ref().map(|failure| InstanceFault {
            created: row.updated.into(),
            details: failure.code,
            message: failure.message.clone(),
        }),
        tenant_id: None,
        restored_from,
        restored_to,
    }
}
