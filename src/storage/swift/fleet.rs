//! Many devices in one container: a prefix for each below that of the fleet.

use std::sync::Arc;

use crate::domain::{FleetArchive, is_device};
use crate::storage::fleet::PAGE;
use crate::storage::{Fleet, FleetPage, Place, Result, StorageError};

use super::Swift;

impl Fleet for Swift {
    fn name(&self) -> &str {
        &self.0.settings.name
    }

    fn page(&self, after: &str) -> Result<FleetPage> {
        let root = self.0.key("");
        let behind = Some(after).filter(|it| !it.is_empty()).map(|it| self.0.key(it));
        let rows = self.0.page(&root, behind.as_deref(), PAGE)?;
        let rows = rows.iter().filter_map(|row| Some((row.name.strip_prefix(&root)?, row.bytes)));
        let mut page = FleetPage::default();
        for (name, bytes) in rows {
            page.archives.extend(FleetArchive::parse(name, bytes));
            page.next = Some(name.to_owned());
        }
        // A page may be shorter than was asked for, and still not be the last. One that does not go on is.
        let next = page.next.take().filter(|it| it.as_str() > after);
        page.next = next.map(|it| behind_parts(&it).unwrap_or(it));
        Ok(page)
    }

    fn device(&self, name: &str) -> Result<Arc<dyn Place>> {
        if !is_device(name) {
            return Err(StorageError::NotFound { what: format!("the device {name:?}") });
        }
        Ok(Arc::new(Self(Arc::new(self.0.below(name)?))))
    }
}

/// Behind all names of the device that this is a name of, if no archive of it can follow: the parts of its archives, of which
/// there may be many, are not listed then.
fn behind_parts(name: &str) -> Option<String> {
    let (device, rest) = name.split_once('/')?;
    // The letter behind `/`.
    (rest > "archives0").then(|| format!("{device}0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_archives_of_a_device_are_not_listed_and_those_of_others_are() {
        for (name, next) in [
            ("shop/archives/a/b/c.tar.zst", None),
            ("shop/owner.id", Some("shop0")),
            ("shop/segments/0a/00001", Some("shop0")),
            ("file", None),
        ] {
            assert_eq!(behind_parts(name).as_deref(), next, "{name}");
        }
        for device in ["shop-1", "shop.1", "shop0", "shop1", "shop_1", "shopper"] {
            let (own, other) = ("shop/archives/a".to_owned(), format!("{device}/archives/a"));
            assert_eq!(own < other, "shop0" < other.as_str(), "{device}");
        }
    }
}
