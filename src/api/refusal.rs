//! What clients read when the catalog refuses something: Trove's sentences where it has them.

use std::fmt::Display;

use crate::catalog::{CatalogError, Forbidden, Invalid, Operation, Outage};
use crate::domain::with_causes;
use crate::keystone::KeystoneError;

use super::error::ApiError;

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NoSuchBackup { id } => Self::unknown_id(&id.to_string()),
            CatalogError::NoSuchInstance { id } => Self::unknown_id(&id.to_string()),
            CatalogError::NoSuchDatastore { name } => {
                Self::NotFound(format!("Datastore '{name}' cannot be found."))
            }
            CatalogError::NoSuchStrategy { project, instance } => {
                let instance = instance.map_or_else(String::new, |id| id.to_string());
                Self::NotFound(format!(
                    "Backup strategy for project {project} and instance {instance} cannot be found."
                ))
            }
            CatalogError::Invalid(invalid) => Self::BadRequest(invalid_sentence(&invalid)),
            CatalogError::InstanceBusy { id, status } => Self::busy(id, status),
            CatalogError::NotNow(refusal) => Self::Unprocessable(sentence(&refusal)),
            CatalogError::ChainBroken { .. } => Self::Unprocessable(error.to_string()),
            CatalogError::NotSupported { operation, engine } => Self::NotImplemented(format!(
                "The '{}' operation is not supported for the '{engine}' datastore.",
                operation_word(operation)
            )),
            CatalogError::QuotaExceeded { resource } => {
                Self::OverLimit(format!("Quota exceeded for resources: ['{}'].", resource.as_str()))
            }
            CatalogError::TooManyRestores { .. } | CatalogError::TooManyVerifications { .. } => {
                Self::LimitReached { why: sentence(&error), retry_after_s: 60 }
            }
            CatalogError::Forbidden(refusal) => Self::Forbidden(forbidden_sentence(&refusal)),
            CatalogError::Store(_) => match error.outage() {
                Some(outage) => {
                    log::debug!("a request cannot be served now: {}", with_causes(&error));
                    Self::Unavailable(outage_sentence(outage))
                }
                None => Self::Fault(with_causes(&error)),
            },
        }
    }
}

impl From<KeystoneError> for ApiError {
    fn from(error: KeystoneError) -> Self {
        let retry_after_s = match error {
            KeystoneError::Unknown => return Self::Unauthorized,
            KeystoneError::NoProject | KeystoneError::NoRole => {
                return Self::Forbidden(sentence(&error));
            }
            KeystoneError::Busy => 1,
            KeystoneError::NoAnswer(_) => 2,
            KeystoneError::BadAnswer(_) | KeystoneError::Authorities(_) | KeystoneError::Ended => {
                10
            }
        };
        Self::Later { why: sentence(&error), retry_after_s }
    }
}

const fn outage_sentence(outage: Outage) -> &'static str {
    match outage {
        Outage::DiskFull => {
            "The server's disk is full: nothing new is accepted until there is room. Deleting backups makes room."
        }
        Outage::ReadOnly => {
            "The server's disk is read-only at the moment: what is there can be read, and nothing can be changed until an administrator makes it writable. coffer doctor says why."
        }
        Outage::Damaged => {
            "The server's catalog is damaged and not used any more; its log says what to do. The archives are not affected."
        }
        Outage::Moved => {
            "The server's catalog was removed or replaced while it was in use: nothing can be changed until an administrator puts it back or restarts the server. coffer doctor says how. The archives are not affected."
        }
        Outage::Other => {
            "The server's catalog is locked, or its disk fails. Try again later; the server's log says which it is."
        }
    }
}

const fn operation_word(operation: Operation) -> &'static str {
    match operation {
        Operation::Backup => "backup_create",
        Operation::Restore => "restore",
        Operation::Drill => "backup_drill",
        Operation::Consolidation => "backup_consolidate",
        Operation::Verification => "backup_verify",
    }
}

fn invalid_sentence(invalid: &Invalid) -> String {
    match invalid {
        Invalid::Marker(id) => format!("Marker '{id}' cannot be found."),
        Invalid::DatastoreVersion(version) => {
            format!("Datastore version '{version}' cannot be found.")
        }
        Invalid::DatastoreMismatch { backup, field, asked, is } => format!(
            "instance['datastore']['{field}'] '{asked}' is not that of backup {backup}, which is \
             '{is}'."
        ),
        Invalid::ForeignArchive(project) => {
            format!("restore_from: the archive does not lie below the folder of project {project}.")
        }
        Invalid::ArchiveTaken(owner) => {
            format!("restore_from: the archive belongs to backup {owner} already.")
        }
        Invalid::ParentOfOther { parent, instance } => {
            format!("parent_id: backup {parent} is not a backup of instance {instance}.")
        }
        Invalid::QuotaLimit { resource, limit } => {
            format!("The quota of {} cannot be {limit}.", resource.as_str())
        }
        Invalid::DuplicateInstance(_)
        | Invalid::InstanceInUse(_)
        | Invalid::Policy(_)
        | Invalid::Unfinished(_)
        | Invalid::KindAndParent(_) => invalid.to_string(),
    }
}

/// An error's text as a sentence.
pub(super) fn sentence(error: &impl Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

fn forbidden_sentence(refusal: &Forbidden) -> String {
    match refusal {
        Forbidden::OtherPath => "Access was denied to this resource.".to_owned(),
        Forbidden::Role(action) => {
            format!("Policy doesn't allow {action} access with this token's roles.")
        }
        Forbidden::OtherProject(own) => format!("Operation not allowed for tenant {own}."),
        Forbidden::AllProjects => {
            "Policy doesn't allow backup:index:all_projects to be performed.".to_owned()
        }
        Forbidden::ConfiguredInstance(id) => format!(
            "Instance {id} comes from the server's configuration and is removed there; its data is \
             not Coffer's to delete."
        ),
    }
}
