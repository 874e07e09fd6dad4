//! Why a page is not there or something was not done: what happened, and what to do next.

use actix_web::http::StatusCode;

use crate::access::{NotOpened, NotUndeleted};
use crate::catalog::{CatalogError, Outage};
use crate::domain::with_causes;
use crate::keystone::KeystoneError;

#[derive(Debug, thiserror::Error)]
pub(super) enum ConsoleError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Whose token it is cannot be found out, or it allows nothing.
    #[error(transparent)]
    Keystone(#[from] KeystoneError),
    #[error("this address leads nowhere")]
    NoPage,
    #[error("{0}")]
    BadForm(String),
    /// The form of another site, or of a session that is over.
    #[error("this did not come from a page of this console")]
    NotOurForm,
    /// A name that is not known to be this server's.
    #[error("this address is not one that this server knows as its own")]
    NotOurHost,
    #[error("the form did not arrive in time")]
    Timeout,
    #[error("the form is longer than {0} bytes")]
    TooLong(usize),
    #[error("{0}")]
    Busy(&'static str),
    #[error("{0}")]
    Gone(String),
    #[error("{0}")]
    OutOfReach(String),
    #[error("{0}")]
    NotTheArchive(String),
    /// For the log only.
    #[error("{0}")]
    Fault(String),
}

/// A refusal as a page shows it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) happened: String,
    pub(super) advice: &'static str,
}

impl ConsoleError {
    /// What a page says. The cause of a fault is only in the log.
    pub(super) fn refusal(&self) -> Refusal {
        let (status, title, advice) = self.kind();
        let happened = match self {
            Self::Fault(_) => "the server failed to answer".to_owned(),
            Self::Catalog(CatalogError::Store(_)) => "the catalog cannot be used".to_owned(),
            _ => self.to_string(),
        };
        Refusal { status, title, happened, advice }
    }

    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Catalog(error) => of_catalog(error),
            Self::Keystone(error) if error.is_about_token() => (
                StatusCode::FORBIDDEN,
                "Not allowed",
                "Sign in with a token for a project in which you have a role: openstack token issue makes one.",
            ),
            Self::Keystone(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Keystone cannot be asked",
                "Nothing was changed. Your session goes on when it can be; a token of Coffer's own works meanwhile.",
            ),
            Self::NoPage => (StatusCode::NOT_FOUND, "Not found", "Begin at the overview."),
            Self::BadForm(_) => {
                (StatusCode::BAD_REQUEST, "Not accepted", "Go back, correct it and send it again.")
            }
            Self::NotOurForm => (
                StatusCode::FORBIDDEN,
                "Not done",
                "Nothing was changed. Load the page again and repeat what you did; if a proxy is before this server, set \
                 server.public_url to the address that you use.",
            ),
            Self::NotOurHost => (
                StatusCode::FORBIDDEN,
                "Not here",
                "Nothing was changed. Use the address of the machine, or name this one in server.hosts, or in \
                 server.public_url if a proxy is before this server; then restart it.",
            ),
            Self::Timeout | Self::TooLong(_) => {
                (StatusCode::BAD_REQUEST, "Not accepted", "Nothing was changed. Send it again.")
            }
            Self::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "Busy", "Try again in a moment."),
            Self::Gone(_) => {
                (StatusCode::NOT_FOUND, "Not there", "Look at the list of its instance.")
            }
            Self::OutOfReach(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Cannot be read now",
                "Nothing is lost by that. The overview says what is wrong with places.",
            ),
            Self::NotTheArchive(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not the archive",
                "Nothing was sent. Verify it on its page, which remembers damage; a copy elsewhere may be sound.",
            ),
            Self::Fault(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Failed",
                "The cause is in the server's log, at this time.",
            ),
        }
    }

    /// What the operator has to know and the page does not say.
    pub(super) fn cause(&self) -> Option<String> {
        match self {
            Self::Fault(cause) => Some(cause.clone()),
            Self::Catalog(error @ CatalogError::Store(_)) => Some(with_causes(error)),
            _ => None,
        }
    }
}

fn of_catalog(error: &CatalogError) -> (StatusCode, &'static str, &'static str) {
    match error {
        _ if error.is_not_found() => (
            StatusCode::NOT_FOUND,
            "Not found",
            "It was deleted, belongs to another project, or never was. Begin at the overview.",
        ),
        CatalogError::Forbidden(_) => (
            StatusCode::FORBIDDEN,
            "Not allowed",
            "Nothing was changed. Sign in with a token that may do this.",
        ),
        CatalogError::Store(_) => match error.outage() {
            Some(Outage::DiskFull) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The disk is full",
                "Nothing new is accepted until there is room; deleting backups makes room.",
            ),
            Some(Outage::ReadOnly) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The disk is read-only",
                "What is there can be read, and nothing can be changed. The log says why.",
            ),
            Some(Outage::Damaged) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The catalog is damaged",
                "It is not used any more, and the archives are not affected: the server's log says what to do.",
            ),
            Some(Outage::Moved) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The catalog was removed or replaced",
                "Nothing can be changed until it is put back or the server is restarted: coffer doctor says how. The \
                 archives are not affected.",
            ),
            Some(Outage::Other) | None => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The catalog does not answer",
                "Try again later; the server's log says what is wrong, and coffer doctor too.",
            ),
        },
        CatalogError::QuotaExceeded { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Over the limit",
            "Delete what is not needed, or ask an administrator to raise the quota.",
        ),
        CatalogError::TooManyRestores { .. } | CatalogError::TooManyVerifications { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Over the limit",
            "Nothing was begun. Try again once some of them have ended.",
        ),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "Not done", "Nothing was changed."),
    }
}

impl From<NotOpened> for ConsoleError {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Catalog(error) => error.into(),
            NotOpened::Failed(why) => Self::Fault(why),
            NotOpened::NoArchive { .. } | NotOpened::Missing(_) => Self::Gone(why.to_string()),
            NotOpened::OutOfReach(_) | NotOpened::NoKey(_) => Self::OutOfReach(why.to_string()),
            NotOpened::Other { .. } => Self::NotTheArchive(why.to_string()),
        }
    }
}

impl From<NotUndeleted> for ConsoleError {
    fn from(why: NotUndeleted) -> Self {
        match why {
            NotUndeleted::Catalog(error) => error.into(),
            NotUndeleted::Failed(why) => Self::Fault(why),
            NotUndeleted::Gone(_) | NotUndeleted::NoPlace(_) => Self::Gone(why.to_string()),
        }
    }
}
