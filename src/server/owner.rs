//! Whose files these are: who may run what was refused.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// As whom to run what this user may not do with `path`: `as coffer (sudo -u coffer …) or as root`.
pub fn as_whom(path: &Path) -> String {
    let owner = path.ancestors().find_map(|it| it.metadata().ok()).map(|it| it.uid());
    match owner {
        Some(uid) if uid != 0 && uid != rustix::process::geteuid().as_raw() => {
            let name = fs::read_to_string("/etc/passwd").ok().and_then(|it| name_of(uid, &it));
            let name = name.unwrap_or_else(|| format!("#{uid}"));
            format!("as {name} (sudo -u '{name}' …) or as root")
        }
        _ => "as root".to_owned(),
    }
}

/// The name of a user in the text of `/etc/passwd`.
fn name_of(uid: u32, passwd: &str) -> Option<String> {
    let uid = uid.to_string();
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(2) == Some(&uid.as_str()));
    line.and_then(|fields| Some((*fields.first()?).to_owned()))
}
