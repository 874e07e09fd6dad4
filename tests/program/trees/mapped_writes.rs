//! Writes that do not show in a file's times: an incremental never restores what was there before.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::fixture::{Fixture, settle};
use super::listing::{assert_same, listing};
use crate::support::write_file;

/// Maps files, and writes each line that it is given at the start of all of them.
const WRITER: &str = "
import mmap, os, sys
maps = [mmap.mmap(os.open(path, os.O_RDWR), 0) for path in sys.argv[1:]]
for line in sys.stdin:
    for mapped in maps:
        mapped[0:2] = line[:2].encode()
    print('written', flush=True)
";

struct Writer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Writer {
    fn of(files: &[PathBuf]) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", WRITER]).args(files).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, answers }
    }

    fn write(&mut self, two_letters: &str) {
        writeln!(self.orders, "{two_letters}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "written\n");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// A tree of this many files in `place`.
fn fixture(place: &str, files: usize) -> (Fixture, Vec<PathBuf>) {
    let names: Vec<_> = (0..files).map(|number| format!("file {number}")).collect();
    let plant = |root: &Path| {
        for name in &names {
            write_file(&root.join(name), vec![b'-'; 10_000]);
        }
    };
    let fixture = Fixture::within(Path::new(place), plant);
    let paths = names.iter().map(|name| fixture.tree.join(name)).collect();
    (fixture, paths)
}

#[test]
fn a_second_write_through_a_mapping_is_in_the_next_incremental() {
    // One file, more than are synced one by one, and files of a filesystem that never writes back.
    for (place, files) in [("/tmp", 1), ("/tmp", 70), ("/dev/shm", 2)] {
        let (fixture, paths) = fixture(place, files);
        let mut writer = Writer::of(&paths);
        writer.write("v1");
        settle(fixture.folder.path());
        fixture.full();
        for version in ["v2", "v3"] {
            writer.write(version);
            let incremental = fixture.incremental();
            let was = listing(&fixture.tree);
            let what = format!("{files} files in {place}, {version}");
            assert_same(&was, &fixture.restored_listing(&incremental), &what);
        }
    }
}
