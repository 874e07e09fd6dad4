//! The places of the configuration, and whether each is the disk that it was.

use std::sync::Arc;

use crate::encryption::Recipients;
use crate::storage::{Place, StorageError};

use super::{Context, Pace, Result};

/// A place, and how it is used.
#[derive(Debug, Clone)]
pub struct CopyTarget {
    pub place: Arc<dyn Place>,
    /// How fast is copied there.
    pub pace: Arc<Pace>,
    /// To whom what is copied there is encrypted; `None`: it lies there as it is here.
    pub recipients: Option<Recipients>,
    /// Whether copies of backups that were deleted stay there.
    pub keep_deleted: bool,
}

/// Fails if the place is not the disk that it was at its first copy; nothing is copied onto an empty mount point. At its
/// first use it is made ready.
pub(super) fn require_same(context: &Context, place: &dyn Place) -> Result<()> {
    let (name, known) = (place.name(), context.catalog.place_identity(place.name())?);
    let found = match (place.identity()?, &known) {
        (None, None) => place.establish()?,
        (found, _) => found,
    };
    match (found, known) {
        (found, known) if found == known => Ok(()),
        (Some(found), None) => Ok(context.catalog.remember_place(name, &found).wait()?),
        (found, Some(known)) => {
            let is =
                found.map_or("it has no data.id".to_owned(), |it| format!("its data.id is {it}"));
            Err(StorageError::NotInPlace {
                what: format!("the place {name}"),
                why: format!("this is not the disk that the first copy went to, whose data.id is {known}: {is}"),
            }
            .into())
        }
        (None, None) => Ok(()),
    }
}
