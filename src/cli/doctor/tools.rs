//! Programs of the machine: those that restore a full backup without Coffer.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Findings;

/// The program with this name, as a shell would find it.
pub(in crate::cli) fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| {
        path.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

/// Says whether they are there. Coffer itself needs none of them.
pub(super) fn installed(findings: &mut Findings) {
    for name in ["zstd", "tar"] {
        match find(name) {
            Some(path) => findings.ok(&format!("tool {name}"), path.display().to_string()),
            None => findings.warning(
                &format!("tool {name}"),
                "is not installed; Coffer does not need it, but a restore without Coffer does",
                format!("apt install {name}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_a_shell_finds_it() {
        assert!(find("sh").unwrap().is_absolute());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
