//! What is installed with the program: the systemd unit, its user and its directories.

#[cfg(test)]
#[path = "packaging/completions.rs"]
mod completions;
#[cfg(test)]
#[path = "packaging/manual.rs"]
mod manual;
#[cfg(test)]
#[path = "packaging/sqlite_flags.rs"]
mod sqlite_flags;

use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(file: &str) -> String {
    let path: PathBuf = repository().join(file);
    std::fs::read_to_string(path).expect("the file is in the repository")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use coffer::config::Config;

    use super::{repository, text_of};

    /// Runs a command that has to succeed; returns its output on both streams.
    fn output_of(command: &mut Command) -> String {
        let shown = format!("{command:?}");
        let output = command.output().unwrap_or_else(|reason| panic!("{shown}: {reason}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shown}: {}\n{text}", output.status);
        text
    }

    /// A folder with the shipped unit, with the path of the program that was built.
    fn unit_for_this_build() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coffer.service");
        let unit = text_of("packaging/coffer.service");
        let unit = unit.replacen("/usr/bin/coffer", env!("CARGO_BIN_EXE_coffer"), 1);
        #[expect(clippy::disallowed_methods, reason = "a copy in a temporary folder")]
        std::fs::write(&path, unit).unwrap();
        (folder, path)
    }

    /// The values of a key of the unit.
    fn unit_values(key: &str) -> Vec<String> {
        let unit = text_of("packaging/coffer.service");
        let start = format!("{key}=");
        unit.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
    }

    /// The value of a key that the unit has once.
    fn unit_value(key: &str) -> String {
        let mut values = unit_values(key);
        assert_eq!(values.len(), 1, "{key}: {values:?}");
        values.remove(0)
    }

    #[test]
    fn systemd_finds_no_fault_in_the_unit() {
        let (_folder, path) = unit_for_this_build();
        let mut verify = Command::new("systemd-analyze");
        // Without manual pages, which need man-db.
        let text =
            output_of(verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(&path));
        assert!(!text.contains("coffer.service"), "{text}");
    }

    #[test]
    fn the_service_is_sandboxed() {
        let (_folder, path) = unit_for_this_build();
        let mut security = Command::new("systemd-analyze");
        // Exposure in tenths, from 0 to 100. Most services of a distribution have 96.
        output_of(security.args(["security", "--offline=true", "--threshold=15"]).arg(&path));
    }

    #[test]
    fn the_server_of_a_drill_can_be_kept_from_other_servers() {
        // Filters of system calls are what does it, and are in no group of systemd's that a service may need.
        assert!(unit_values("SystemCallFilter").contains(&"@system-service seccomp".to_owned()));
        assert_eq!(unit_value("NoNewPrivileges"), "yes");
    }

    #[test]
    fn a_server_that_hangs_is_started_again_but_not_one_that_waits_for_a_slow_disk() {
        let seconds: u64 = unit_value("WatchdogSec").parse().unwrap();
        assert!((60..=600).contains(&seconds), "{seconds}");
        assert_eq!(unit_value("Restart"), "on-failure");
    }

    #[test]
    fn the_unit_waits_longer_than_running_backups_are_given() {
        let stop: u64 = unit_value("TimeoutStopSec").parse().unwrap();
        assert!(stop >= Config::default().server.shutdown_grace_s + 30);
    }

    #[test]
    fn memory_and_tasks_of_the_unit_are_limited_above_what_a_full_house_takes() {
        let memory = unit_value("MemoryMax");
        let gib: u64 = memory.strip_suffix('G').expect("GiB").parse().unwrap();
        assert!((1..=4).contains(&gib), "{memory}");
        let server = Config::default().server;
        let tasks: usize = unit_value("TasksMax").parse().unwrap();
        assert!(tasks >= 8 * (server.worker_count() * 5 + 16), "{tasks}");
        // Twice as many connections for a moment, as many that wait, and the files of backups: within what systemd
        // and most shells allow a process.
        assert!(server.max_connections * 3 + 128 <= 1024);
    }

    #[test]
    fn the_unit_and_the_configuration_use_the_same_directory() {
        let folders = unit_value("StateDirectory");
        let (state, identity) = folders.split_once(' ').expect("two folders");
        let state = format!("/var/lib/{state}");
        let remembered = format!("COFFER__STORAGE__IDENTITY_FILE=/var/lib/{identity}/data.id");
        assert!(unit_values("Environment").contains(&remembered));
        assert_eq!(Config::default().data_dir, std::path::Path::new(&state));
        assert_eq!(unit_value("StateDirectoryMode"), "0700");
        assert!(text_of("packaging/coffer.tmpfiles").contains(&format!("d {state} 0700 coffer")));
    }

    #[test]
    fn the_user_can_be_made() {
        let user = unit_value("User");
        let mut sysusers = Command::new("systemd-sysusers");
        let root = tempfile::tempdir().unwrap();
        sysusers.arg("--dry-run").arg(format!("--root={}", root.path().display()));
        let text = output_of(sysusers.arg(repository().join("packaging/coffer.sysusers")));
        assert!(text.contains(&format!("'{user}'")), "{text}");
    }

    #[test]
    fn the_directories_are_made_with_their_modes() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        // Only root may change owners: here they stay with the user of the test.
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        let own = format!(" {} {} -", user.as_raw(), group.as_raw());
        let lines = text_of("packaging/coffer.tmpfiles");
        let lines = lines.replace(" root coffer -", &own).replace(" coffer coffer -", &own);
        let file = folder.path().join("coffer.conf");
        #[expect(clippy::disallowed_methods, reason = "a copy in a temporary folder")]
        std::fs::write(&file, lines).unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut tmpfiles = Command::new("systemd-tmpfiles");
        output_of(tmpfiles.args(["--create", "--root"]).arg(&root).arg(&file));
        for (place, mode) in [("etc/coffer", 0o750), ("var/lib/coffer", 0o700)] {
            let metadata = std::fs::metadata(root.join(place)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{place}");
        }
    }

    #[test]
    fn the_installed_configuration_changes_nothing() {
        let file = repository().join("packaging/coffer.toml");
        let config = Config::load(Some(&file)).unwrap();
        assert_eq!(Config { file: None, ..config }, Config::default());
    }

    #[test]
    fn the_scripts_of_the_package_are_valid_shell() {
        for script in ["config", "postinst", "prerm", "postrm"] {
            let path = repository().join("packaging/deb").join(script);
            output_of(Command::new("sh").arg("-n").arg(path));
            let has_part_of_systemd =
                text_of(&format!("packaging/deb/{script}")).contains("\n#DEBHELPER#\n");
            assert_eq!(has_part_of_systemd, script != "config", "{script}");
        }
    }

    #[test]
    fn the_unit_runs_no_program_that_a_small_system_lacks() {
        // `kill` is in a package of its own; the shell has one too.
        let programs = ["ExecStart", "ExecReload"].map(unit_value);
        let programs = programs.iter().map(|it| it.split(' ').next().unwrap());
        assert_eq!(programs.collect::<Vec<_>>(), ["/usr/bin/coffer", "/bin/sh"]);
    }
}
