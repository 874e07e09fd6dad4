//! What a rebuilt catalog must know of restored instances: a small file for each, in `instances/`.

use std::ffi::OsString;
use std::io::Read as _;

use super::folder::{Folder, failed};
use super::layout::{INSTANCES, Layout};
use super::opened_path::OpenedPath;
use crate::domain::{InstanceId, ProjectId};
use crate::storage::Result;

const ENDING: &str = ".json";

/// A longer file is not one that Coffer wrote.
const LONGEST: u64 = 1 << 20;

fn name_of(instance: InstanceId) -> OsString {
    format!("{instance}{ENDING}").into()
}

pub(super) fn write(layout: &Layout, instance: InstanceId, content: &[u8]) -> Result<()> {
    let folder = Folder::open_named(&layout.root)?.make_folder(INSTANCES.as_ref())?;
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
    let folder = Folder::open(&layout.instances)?;
    for name in folder.names()? {
        let name = name?;
        let Some(Ok(id)) =
            name.to_str().and_then(|it| it.strip_suffix(ENDING)).map(str::parse::<InstanceId>)
        else {
            continue;
        };
        let mut content = Vec::new();
        let mut file = folder.open_file(&name)?.take(LONGEST);
        file.read_to_end(&mut content).map_err(failed("reading", &folder.path_of(&name)))?;
        found.push((id, content));
    }
    Ok(found)
}

/// Whether the folder of a restored instance exists.
pub(super) fn has_data(layout: &Layout, project: &ProjectId, instance: InstanceId) -> Result<bool> {
    let text = format!("{project}/{instance}/data");
    Ok(OpenedPath::find(&layout.restored, &text)?.is_some())
}
