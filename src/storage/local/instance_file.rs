//! What a rebuilt catalog must know of restored instances: a small file for each, in `instances/`.

use std::ffi::OsString;

use super::folder::{Folder, OpenedPath, failed};
use super::layout::Layout;
use crate::domain::{InstanceId, ProjectId};
use crate::storage::Result;

const ENDING: &str = ".json";

fn name_of(instance: InstanceId) -> OsString {
    format!("{instance}{ENDING}").into()
}

pub(super) fn write(layout: &Layout, instance: InstanceId, content: &[u8]) -> Result<()> {
    let folder = Folder::open(&layout.root)?.make_folder(layout.instances.as_os_str())?;
    layout.replace_file(&folder, &name_of(instance), content)
}

/// Removes the file of an instance, if there is one.
pub(super) fn remove(layout: &Layout, instance: InstanceId) -> Result<()> {
    if !layout.instances.exists() {
        return Ok(());
    }
    let folder = Folder::open(&layout.instances)?;
    folder.remove_file(&name_of(instance))?;
    folder.sync()
}

/// The content of every file, in no order.
pub(super) fn read_all(layout: &Layout) -> Result<Vec<(InstanceId, Vec<u8>)>> {
    let mut found = Vec::new();
    if !layout.instances.exists() {
        return Ok(found);
    }
    for name in Folder::open(&layout.instances)?.names()? {
        let name = name?;
        let Some(Ok(id)) =
            name.to_str().and_then(|it| it.strip_suffix(ENDING)).map(str::parse::<InstanceId>)
        else {
            continue;
        };
        let file = layout.instances.join(&name);
        found.push((id, std::fs::read(&file).map_err(failed("reading", &file))?));
    }
    Ok(found)
}

/// Whether the folder of a restored instance exists.
pub(super) fn has_data(layout: &Layout, project: &ProjectId, instance: InstanceId) -> Result<bool> {
    let text = format!("{project}/{instance}/data");
    Ok(OpenedPath::find(&layout.restored, &text)?.is_some())
}
