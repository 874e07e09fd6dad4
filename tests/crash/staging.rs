//! A restore into staging that is cut short.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rstest::rstest;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::support::{names_in, wait_until, write_file};
use super::{Fixture, SIGKILL, change, content};

const FORTY_DAYS: i64 = 40 * 86_400_000_000;

impl Fixture {
    fn catalog(&self) -> Connection {
        Connection::open(self.server.data_dir().join("catalog.db")).unwrap()
    }

    /// Starts the server as if everything had been made forty days ago, with `place` as its failpoint.
    fn forty_days_later(&mut self, place: Option<&str>) {
        self.server.terminate();
        self.catalog()
            .execute_batch(&format!(
                "UPDATE backups SET created = created - {FORTY_DAYS};
                 UPDATE runs SET ended = ended - {FORTY_DAYS};"
            ))
            .unwrap();
        self.server.set_env("COFFER_FAILPOINT", place);
        self.server.restart();
    }

    /// Replaces a piece of the configuration, and has the server read it again.
    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.server.config()).unwrap();
        assert!(text.contains(from), "{text}");
        write_file(self.server.config(), text.replacen(from, to, 1));
        let pid = i32::try_from(self.server.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    }

    fn wait_for_stagings(&self, expected: i64) {
        let sql = "SELECT count(*) FROM runs WHERE kind = 'staging' AND result = 'done'";
        wait_until("the restore into staging", || {
            let count: i64 = self.catalog().query_row(sql, [], |row| row.get(0)).unwrap();
            (count == expected).then_some(())
        });
    }
}

#[rstest]
#[case::restored_beside("staging-before-swap", false)]
#[case::in_its_place("staging-after-swap", true)]
fn a_restore_into_staging_that_is_cut_short_leaves_the_old_or_the_new_and_is_made_again(
    #[case] place: &str,
    #[case] replaced: bool,
) {
    let mut fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy.db");
    let engine = "engine = \"sqlite\"";
    let staged = format!("{engine}\nstaging = {{ to = {to:?}, schedule = \"monthly 1 04:00\" }}");
    fixture.make("first", 0);
    let first = content(&fixture.database);
    fixture.forty_days_later(None);
    fixture.edit(engine, &staged);
    fixture.wait_for_stagings(1);
    assert_eq!(content(&to), first);

    fixture.edit(&staged, engine);
    change(&fixture.database, " changed");
    let second = content(&fixture.database);
    fixture.make("second", 0);
    fixture.forty_days_later(Some(place));
    fixture.edit(engine, &staged);
    let status = fixture.server.wait_for_exit();
    assert_eq!(status.signal(), Some(SIGKILL), "{status}");
    assert_eq!(content(&to), if replaced { second.clone() } else { first });

    fixture.server.set_env("COFFER_FAILPOINT", None);
    fixture.server.restart();
    fixture.wait_for_stagings(2);
    assert_eq!(content(&to), second);
    assert_eq!(names_in(folder.path()), [".copy.db.coffer", "copy.db"]);
    let kept = names_in(Path::new(&folder.path().join(".copy.db.coffer")));
    assert_eq!(kept.len(), 2, "one, and the file that says whose it is: {kept:?}");
}
