//! Many devices in one bucket: a prefix for each below that of the fleet.

use std::sync::Arc;

use crate::domain::{FleetArchive, is_device};
use crate::storage::fleet::PAGE;
use crate::storage::{Fleet, FleetPage, Place, Result, StorageError};

use super::listing::Behind;
use super::{S3, S3Settings};

impl Fleet for S3 {
    fn name(&self) -> &str {
        &self.0.settings.name
    }

    fn page(&self, after: &str) -> Result<FleetPage> {
        let root = self.0.key("");
        let behind = Some(after).filter(|it| !it.is_empty()).map(|it| self.0.key(it));
        let (rows, more) = self.0.page(&root, behind.as_deref().map(Behind::Key), PAGE)?;
        // A store that answers with other names than was asked for has none that we know.
        let rows =
            || rows.iter().filter_map(|(key, bytes)| Some((key.strip_prefix(&root)?, *bytes)));
        let last = rows().next_back().map(|(name, _)| name.to_owned());
        // Without a later name the next page would be the same one again.
        let next = last.filter(|it| more.is_some() && it.as_str() > after);
        Ok(FleetPage {
            archives: rows().filter_map(|(key, bytes)| FleetArchive::parse(key, bytes)).collect(),
            next,
        })
    }

    fn device(&self, name: &str) -> Result<Arc<dyn Place>> {
        if !is_device(name) {
            return Err(StorageError::NotFound { what: format!("the device {name:?}") });
        }
        let prefix = self.0.key(name);
        let settings = S3Settings { prefix, ..self.0.settings.clone() };
        Ok(Arc::new(Self::new(settings)?))
    }
}
