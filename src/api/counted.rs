//! Requests that the event log counts instead of recording each: wrong tokens, what is not allowed, downloads.

use std::sync::Arc;

use actix_web::HttpRequest;

use crate::catalog::Counted;
use crate::domain::{Action, Actor, BackupId, Origin, ProjectId};

use super::State;
use super::connection::{Connection, Entrance};

/// Where a request comes from.
pub(super) fn origin(request: &HttpRequest) -> Origin {
    let connection = request.conn_data::<Arc<Connection>>();
    match request.peer_addr() {
        Some(address) => Origin::Address(address.ip()),
        None if connection.is_some_and(|it| it.entrance() == Entrance::Socket) => Origin::Socket,
        None => Origin::Server,
    }
}

/// Counts somebody who signed in.
pub(super) fn count_signed_in(state: &State, actor: Actor, project: Option<ProjectId>) {
    let (action, object) = (Action::SignIn, None);
    state.catalog.count_event(Counted { action, actor, project, object, refused: false });
}

/// Counts a request whose token or password is not known. The name that it gave is not repeated: it may be a secret in the wrong
/// place.
pub(super) fn count_sign_in(state: &State, origin: Origin) {
    let actor = Actor { who: "unknown".to_owned(), origin };
    let (action, project, object) = (Action::SignIn, None, None);
    state.catalog.count_event(Counted { action, actor, project, object, refused: true });
}

/// Counts a request that its token does not allow.
pub(super) fn count_denied(state: &State, actor: Actor, project: Option<ProjectId>) {
    let (action, object) = (Action::Access, None);
    state.catalog.count_event(Counted { action, actor, project, object, refused: true });
}

/// Counts a download of an archive, or of a part of it.
pub(super) fn count_download(state: &State, actor: Actor, project: ProjectId, id: BackupId) {
    let (action, project, object) = (Action::BackupDownload, Some(project), Some(id.to_string()));
    state.catalog.count_event(Counted { action, actor, project, object, refused: false });
}
