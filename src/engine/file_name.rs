//! Names of files that engines make, such as an instance's name as the name of a file.

use super::{EngineError, Result};
use crate::domain::{EntryPath, FailureCode};

/// Longer names are cut off.
const MAX_NAME_BYTES: usize = 200;

/// The name with `_` for every character that is not safe in a file name or in a shell.
pub(super) fn plain_name(instance: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    instance
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .take(MAX_NAME_BYTES)
        .collect()
}

/// The same for a folder: `default` if that name is made of dots only.
pub(super) fn folder_name(instance: &str, default: &str) -> String {
    let name = plain_name(instance);
    if name.chars().all(|letter| letter == '.') { default.to_owned() } else { name }
}

/// The path of an entry that an engine names itself.
pub(super) fn entry_path(name: impl Into<Vec<u8>>) -> Result<EntryPath> {
    EntryPath::new(name)
        .map_err(|error| EngineError::known(FailureCode::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_file_name_that_needs_no_quoting() {
        assert_eq!(plain_name("shop-2.x"), "shop-2.x");
        assert_eq!(plain_name("Mein Lädchen/../$(x)"), "Mein_L_dchen_..___x_");
        assert_eq!(plain_name(&"ü".repeat(300)).len(), MAX_NAME_BYTES);
    }
}
