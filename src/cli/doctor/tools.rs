//! Programs that restore a full backup without Coffer.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::finding::Findings;

/// The program with this name, as a shell would find it.
pub(in crate::cli) fn find_tool(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(is_program)
}

/// Checks that they are installed. Coffer itself needs none of them.
pub(super) fn tools(findings: &mut Findings) {
    for name in ["zstd", "tar"] {
        match find_tool(name) {
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
        assert!(find_tool("sh").unwrap().is_absolute());
        assert_eq!(find_tool("no-such-program-anywhere"), None);
    }
}
