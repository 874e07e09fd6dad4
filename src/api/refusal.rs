//! What clients read when the catalog refuses something: Trove's sentences where it has them.

use crate::catalog::{CatalogError, Forbidden, Invalid, NotNow, Operation};
use crate::domain::with_causes;

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
            CatalogError::InstanceBusy { id, status } => Self::Unprocessable(format!(
                "Instance {id} is not currently available for an action to be performed (instance \
                 status was {}).",
                status.as_str()
            )),
            CatalogError::NotNow(refusal) => Self::Unprocessable(not_now_sentence(&refusal)),
            CatalogError::ChainBroken { .. } => Self::Unprocessable(error.to_string()),
            CatalogError::NotSupported { operation, engine } => Self::NotImplemented(format!(
                "The '{}' operation is not supported for the '{engine}' datastore.",
                operation_word(operation)
            )),
            CatalogError::QuotaExceeded { resource } => {
                Self::OverLimit(format!("Quota exceeded for resources: ['{}'].", resource.as_str()))
            }
            CatalogError::Forbidden(refusal) => Self::Forbidden(forbidden_sentence(&refusal)),
            CatalogError::Store(_) => Self::Fault(with_causes(&error)),
        }
    }
}

const fn operation_word(operation: Operation) -> &'static str {
    match operation {
        Operation::Backup => "backup_create",
        Operation::Restore => "restore",
        Operation::Drill => "backup_drill",
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
        | Invalid::Unfinished(_)
        | Invalid::KindAndParent(_) => invalid.to_string(),
    }
}

fn not_now_sentence(refusal: &NotNow) -> String {
    match refusal {
        NotNow::ParentUnusable { id, why } => {
            format!("Backup {id} {why}: name a COMPLETED or RESTORED one as parent, or none.")
        }
        NotNow::ChainTooLong(id) => {
            format!("The chain of backup {id} is as long as it may be: name no parent.")
        }
        NotNow::Running { id, member, status } => {
            let which = if member == id {
                format!("Backup {id}")
            } else {
                format!("Backup {member}, which is built on {id},")
            };
            format!("{which} is {status}: wait until it has ended, then delete again.")
        }
        NotNow::BeingRestored { instance, backup } => format!(
            "Instance {instance} is being restored from backup {backup}: wait until that has ended, \
             then delete again."
        ),
        NotNow::NotCompleted { id, status, operation } => {
            let what = if *operation == Operation::Drill { "drilled" } else { "restored" };
            format!("Backup {id} is {status}: only COMPLETED and RESTORED ones can be {what}.")
        }
        NotNow::BeingDeleted(id) => {
            format!("Backup {id} is being deleted: there is nothing left to prove.")
        }
        NotNow::NoArchive { id, status } => format!("Backup {id} is {status} and has no archive."),
        NotNow::IdTaken(id) => format!("The new id {id} is taken already: try again."),
        NotNow::NotMarked(_) => refusal.to_string(),
    }
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

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;

    use super::*;
    use crate::domain::{BackupId, InstanceId, InstanceStatus, QuotaResource, Status};

    #[test]
    fn clients_read_troves_sentences() {
        let id = BackupId::generate();
        let instance = InstanceId::generate();
        let own = "b".parse().unwrap();
        let engine = || "vertica".to_owned();
        let cases: [(CatalogError, u16, String); 9] = [
            (CatalogError::NoSuchBackup { id }, 404, format!("Resource {id} cannot be found.")),
            (
                CatalogError::NoSuchDatastore { name: "SQLite".to_owned() },
                404,
                "Datastore 'SQLite' cannot be found.".to_owned(),
            ),
            (
                Invalid::DatastoreVersion("7".to_owned()).into(),
                400,
                "Datastore version '7' cannot be found.".to_owned(),
            ),
            (
                Forbidden::OtherProject(own).into(),
                403,
                "Operation not allowed for tenant b.".to_owned(),
            ),
            (
                CatalogError::NotSupported { operation: Operation::Backup, engine: engine() },
                501,
                "The 'backup_create' operation is not supported for the 'vertica' datastore."
                    .to_owned(),
            ),
            (
                CatalogError::QuotaExceeded { resource: QuotaResource::Backups },
                413,
                "Quota exceeded for resources: ['backups'].".to_owned(),
            ),
            (
                CatalogError::InstanceBusy { id: instance, status: InstanceStatus::Backup },
                422,
                format!(
                    "Instance {instance} is not currently available for an action to be performed \
                     (instance status was BACKUP)."
                ),
            ),
            (
                Invalid::ParentOfOther { parent: id, instance }.into(),
                400,
                format!("parent_id: backup {id} is not a backup of instance {instance}."),
            ),
            (
                NotNow::NotCompleted { id, status: Status::New, operation: Operation::Drill }
                    .into(),
                422,
                format!("Backup {id} is NEW: only COMPLETED and RESTORED ones can be drilled."),
            ),
        ];
        for (error, status, sentence) in cases {
            let error = ApiError::from(error);
            assert_eq!((error.status_code().as_u16(), error.to_string()), (status, sentence));
        }
    }
}
