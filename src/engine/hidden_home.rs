//! Home directories that a service of systemd does not see: `ProtectHome=yes` puts an empty folder over them.

use std::path::Path;

use super::EngineError;
use crate::domain::FailureCode;

/// What `ProtectHome=` covers.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// The folder that systemd mounts over what a service may not see: below /run/systemd, or /run/host in a container.
const COVER: &str = "/inaccessible/dir";

/// The failure of a source that cannot be found because this service does not see home directories.
pub(super) fn failure(path: &Path) -> Option<EngineError> {
    let home = HOMES.iter().find(|home| path.starts_with(home))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    is_covered(&mounts, home).then(|| {
        let shown = path.display();
        EngineError::known(
            FailureCode::SourceDenied,
            format!(
                "{shown} cannot be seen by this service: its unit hides {home}. With `systemctl edit coffer`, write \
                 `ProtectHome=read-only` below `[Service]`, then `systemctl restart coffer`"
            ),
        )
    })
}

fn is_covered(mounts: &str, home: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(3);
        fields.next().is_some_and(|root| root.ends_with(COVER)) && fields.next() == Some(home)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cover_is_known_by_what_is_mounted_and_where() {
        let covered = "553 432 0:25 /systemd/inaccessible/dir /home ro,nosuid - tmpfs tmpfs rw";
        let in_container =
            "366 319 0:43 /host/inaccessible/dir /home ro shared:125 - tmpfs tmpfs rw";
        let own_disk = "553 432 254:1 / /home rw - ext4 /dev/vdb rw";
        for (mounts, home, is_so) in [
            (covered, "/home", true),
            (covered, "/root", false),
            (in_container, "/home", true),
            (own_disk, "/home", false),
        ] {
            assert_eq!(is_covered(mounts, home), is_so, "{mounts}: {home}");
        }
    }
}
