//! Many devices in one folder of a disk or file server: a folder for each, laid out as [`Disk`] does.

use std::fs;
use std::sync::Arc;

use crate::domain::{FleetArchive, is_device};

use super::fleet::PAGE;
use super::{
    Disk, DiskSettings, Fleet, FleetPage, Local, Place, Result, Storage as _, StorageError,
};

impl Disk {
    /// The folders of devices, in the order of their names as parts of a path.
    fn devices(&self) -> Result<Vec<String>> {
        let path = &self.settings.path;
        let failed = |source| StorageError::Io {
            action: "listing",
            what: path.display().to_string(),
            source,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A link could lead to the folder of another device, or anywhere.
            let is_folder = entry.file_type().map_err(failed)?.is_dir();
            let name = entry.file_name().into_string().ok();
            found.extend(name.filter(|it| is_folder && is_device(it)));
        }
        found.sort_by_cached_key(|name| format!("{name}/"));
        Ok(found)
    }

    /// The archives of a device, in the order of their names.
    fn archives_of(&self, device: &str) -> Result<Vec<(String, u64)>> {
        let path = self.settings.path.join(device);
        if !path.join("archives").is_dir() {
            return Ok(Vec::new());
        }
        let stored = Local::existing(&path, self.settings.local.clone())?.list()?.into_iter();
        let mut names: Vec<_> =
            stored.map(|it| (format!("{device}/archives/{}", it.location), it.bytes)).collect();
        names.sort();
        Ok(names)
    }
}

impl Fleet for Disk {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn page(&self, after: &str) -> Result<FleetPage> {
        let mut page = FleetPage::default();
        let current = after.split_once('/').map_or("", |(device, _rest)| device);
        for device in self.devices()? {
            if !current.is_empty() && format!("{device}/") < format!("{current}/") {
                continue;
            }
            for (name, bytes) in self.archives_of(&device)? {
                if name.as_str() <= after {
                    continue;
                }
                page.archives.extend(FleetArchive::parse(&name, bytes));
                page.next = Some(name);
                if page.archives.len() >= PAGE {
                    return Ok(page);
                }
            }
        }
        page.next = None;
        Ok(page)
    }

    fn device(&self, name: &str) -> Result<Arc<dyn Place>> {
        if !is_device(name) {
            return Err(StorageError::NotFound { what: format!("the device {name:?}") });
        }
        let path = self.settings.path.join(name);
        Ok(Arc::new(Self::new(DiskSettings { path, ..self.settings.clone() })?))
    }
}
