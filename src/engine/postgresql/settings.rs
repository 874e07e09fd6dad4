//! The server's configuration files in a backup: in the folder `settings`, by their absolute paths on the server.

use std::collections::BTreeSet;

use super::cluster::SETTINGS;
use super::server_info::SettingsFile;
use crate::domain::LeftOut;

/// A folder or file in the backup; folders come before what is in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SettingsEntry<'a> {
    Folder(String),
    File(String, &'a [u8]),
}

impl<'a> SettingsEntry<'a> {
    pub(super) fn all(files: impl IntoIterator<Item = &'a SettingsFile>) -> Vec<Self> {
        let mut made = BTreeSet::new();
        let mut entries = Vec::new();
        for file in files {
            let path = format!("{SETTINGS}/{}", file.path.trim_start_matches('/'));
            for (at, _) in path.match_indices('/') {
                let folder = path.get(..at).unwrap_or_default().to_owned();
                if made.insert(folder.clone()) {
                    entries.push(Self::Folder(folder));
                }
            }
            entries.push(Self::File(path, &file.content));
        }
        entries
    }
}

/// The files are not in a backup, because the role may not read them.
pub(super) fn no_settings(role: &str) -> LeftOut {
    LeftOut::new(
        "the server's settings (postgresql.conf, pg_hba.conf, pg_ident.conf)",
        format!(
            "the role {role} may not read them: GRANT pg_read_all_settings, pg_read_server_files TO it, and \
             EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_comes_once_and_before_its_files() {
        let file = |path: &str| SettingsFile {
            path: path.to_owned(),
            content: Vec::new(),
            in_data: false,
        };
        let files = [file("/etc/pg/a.conf"), file("/etc/pg/conf.d/b.conf")];
        let folder = |path: &str| SettingsEntry::Folder(path.to_owned());
        assert_eq!(
            SettingsEntry::all(&files),
            [
                folder("settings"),
                folder("settings/etc"),
                folder("settings/etc/pg"),
                SettingsEntry::File("settings/etc/pg/a.conf".to_owned(), b""),
                folder("settings/etc/pg/conf.d"),
                SettingsEntry::File("settings/etc/pg/conf.d/b.conf".to_owned(), b""),
            ]
        );
    }
}
