//! The settings of the original server, as the copying tool wrote them beside the files.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use crate::domain::LeftOut;
use crate::engine::{EngineError, Result};

/// The tool's file with the settings.
pub(super) const SETTINGS_FILE: &str = "backup-my.cnf";

/// Settings of folders, whose files the tool copied into the data directory.
const FOLDERS: [&str; 3] =
    ["innodb_undo_directory", "innodb_data_home_dir", "innodb_log_group_home_dir"];

/// The settings without which a server does not start on the files.
const NEEDED: [&str; 4] = [
    "innodb_page_size",
    "innodb_data_file_path",
    "innodb_undo_tablespaces",
    "lower_case_table_names",
];

/// With this, names of tables are in small letters, however statements write them.
const IGNORES_CASE: &str = "lower_case_table_names=1";

/// The same for a server's command line.
pub(super) const IGNORES_CASE_OPTION: &str = "--lower-case-table-names=1";

/// Plugins that a server may need to read the files, and that need no other server.
const PLUGINS: [&str; 6] = [
    "file_key_management",
    "provider_bzip2",
    "provider_lz4",
    "provider_lzma",
    "provider_lzo",
    "provider_snappy",
];

/// The settings of the plugin that reads keys from a file.
const KEYS: &str = "file_key_management_";

/// Removes the original's folders from the settings of a copy. Returns where the keys of encrypted tables are, if it
/// has any: they are not in the copy.
pub(super) fn keep_inside(copy: &Path) -> Result<Option<LeftOut>> {
    let path = copy.join(SETTINGS_FILE);
    let failed = |action, error| EngineError::io(action, &path, error);
    let text = fs::read_to_string(&path).map_err(|error| failed("reading", error))?;
    let is_folder =
        |line: &&str| line.split_once('=').is_some_and(|(name, _)| FOLDERS.contains(&name.trim()));
    let inside: Vec<&str> = text.lines().filter(|line| !is_folder(line)).collect();
    let open = OpenOptions::new().write(true).truncate(true).open(&path);
    open.and_then(|mut file| file.write_all((inside.join("\n") + "\n").as_bytes()))
        .map_err(|error| failed("writing", error))?;
    Ok(keys(&text))
}

/// Adds to the settings of a data directory, which are made if it has none, that names of tables are in small letters.
pub(super) fn ignore_case(data: &Path) -> Result<()> {
    let path = data.join(SETTINGS_FILE);
    let group = if path.exists() { "" } else { "[mysqld]\n" };
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened
        .and_then(|mut file| file.write_all(format!("{group}{IGNORES_CASE}\n").as_bytes()))
        .map_err(|error| EngineError::io("writing", &path, error))
}

/// Whether the server had keys to encrypt its tables.
pub(super) fn has_keys(restored: &Path) -> bool {
    fs::read_to_string(restored.join(SETTINGS_FILE)).is_ok_and(|text| keys(&text).is_some())
}

fn keys(text: &str) -> Option<LeftOut> {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::trim)
    };
    let plugin =
        value("plugin_load")?.split([';', '=']).find(|it| it.ends_with("key_management"))?;
    let file = value("file_key_management_filename").unwrap_or("where the plugin keeps them");
    Some(LeftOut::new(
        format!("the keys of encrypted tables ({file})"),
        format!(
            "{plugin} reads them from outside of the data directory: without a copy of them elsewhere nothing \
                 that is encrypted can be read"
        ),
    ))
}

/// The server options that a restored copy needs. The file comes from an archive, so only known settings are used, and
/// a path only for keys.
pub(super) fn needed_options(restored: &Path) -> Vec<String> {
    let text = fs::read_to_string(restored.join(SETTINGS_FILE)).unwrap_or_default();
    let settings = text.lines().filter_map(|line| line.split_once('='));
    settings.flat_map(|(name, value)| options(name, value)).collect()
}

fn options(name: &str, value: &str) -> Vec<String> {
    let is_plain = |more: &str| {
        value
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || ":;._-".contains(it) || more.contains(it))
    };
    let option = || vec![format!("--{}={value}", name.replace('_', "-"))];
    match name {
        "plugin_load" => {
            let names = value.split(';').filter_map(|it| it.split('=').next());
            let known = names.filter(|it| PLUGINS.contains(it));
            known.map(|it| format!("--plugin-load-add={it}")).collect()
        }
        _ if NEEDED.contains(&name) && is_plain("") => option(),
        _ if name.starts_with(KEYS) && is_plain("/") && !value.is_empty() => option(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut file = fs::File::create_new(folder.path().join(SETTINGS_FILE)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        folder
    }

    #[test]
    fn only_needed_settings_without_a_path_are_used() {
        let folder = settings(
            "[mysqld]\ninnodb_page_size=8192\ninnodb_data_file_path=ibdata1:12M:autoextend\n\
             innodb_undo_tablespaces=/etc\nplugin_load=evil=evil\n",
        );
        assert_eq!(
            needed_options(folder.path()),
            ["--innodb-page-size=8192", "--innodb-data-file-path=ibdata1:12M:autoextend"]
        );
        assert_eq!(needed_options(Path::new("/nowhere")), [""; 0]);
    }

    #[test]
    fn a_copy_of_encrypted_tables_is_read_with_the_keys_of_the_original() {
        let folder = settings(
            "[mysqld]\ninnodb_undo_directory=/original/undo\nplugin_dir=\"/usr/lib\"\n\
             plugin_load=file_key_management=file_key_management;provider_lz4=provider_lz4;evil=evil\n\
             file_key_management_filename=/etc/keys\nfile_key_management_filekey=\n",
        );
        let keys = keep_inside(folder.path()).unwrap().unwrap();
        assert!(keys.what.contains("/etc/keys"), "{keys}");
        let text = fs::read_to_string(folder.path().join(SETTINGS_FILE)).unwrap();
        assert!(!text.contains("undo") && text.contains("plugin_dir"), "{text}");
        assert_eq!(
            needed_options(folder.path()),
            [
                "--plugin-load-add=file_key_management",
                "--plugin-load-add=provider_lz4",
                "--file-key-management-filename=/etc/keys",
            ]
        );
    }
}
