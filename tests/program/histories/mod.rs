//! Random histories of changes, backups, deletions, restores and restarts, compared with plain copies: every
//! COMPLETED backup restores exactly what its source was.
//!
//! The same few histories each time; many more, and longer ones, with `COFFER_LONG=1`.

mod sources;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRng, TestRunner};
use serde_json::json;

use crate::support::TestServer;
use sources::{Content, Source};

/// Which of the two instances.
#[derive(Debug, Clone, Copy)]
enum Which {
    Database,
    Tree,
}

/// What a new backup is built on.
#[derive(Debug, Clone, Copy)]
enum Base {
    Nothing,
    Newest,
    /// One of those there are, by the number modulo how many.
    Named(usize),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A change of some kind, with the number its content follows from.
    Change(Which, u32),
    Backup(Which, Base),
    Delete(Which, usize),
    Restore(Which, usize),
    Restart,
    /// A power cut between two steps.
    PowerCut,
}

fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let which = || prop_oneof![Just(Which::Database), Just(Which::Tree)];
    let base = prop_oneof![
        1 => Just(Base::Nothing),
        4 => Just(Base::Newest),
        2 => any::<usize>().prop_map(Base::Named),
    ];
    let step = prop_oneof![
        5 => (which(), any::<u32>()).prop_map(|(which, seed)| Step::Change(which, seed)),
        6 => (which(), base).prop_map(|(which, base)| Step::Backup(which, base)),
        1 => (which(), any::<usize>()).prop_map(|(which, of)| Step::Delete(which, of)),
        1 => (which(), any::<usize>()).prop_map(|(which, of)| Step::Restore(which, of)),
        1 => Just(Step::Restart),
        1 => Just(Step::PowerCut),
    ];
    prop::collection::vec(step, 12..longest)
}

/// A backup that should exist.
struct Point {
    id: String,
    parent: Option<String>,
    content: Content,
}

/// One source, and its backups in the order they were made.
struct Line {
    name: &'static str,
    source: Source,
    points: Vec<Point>,
}

impl Line {
    fn new(name: &'static str, source: Source) -> Self {
        Self { name, source, points: Vec::new() }
    }

    /// The point that a number stands for; `None` if there are no points.
    fn pick(&self, number: usize) -> Option<&Point> {
        self.points.get(number.checked_rem(self.points.len())?)
    }
}

/// A server, its sources and the backups that it should have.
struct World {
    server: TestServer,
    database: Line,
    tree: Line,
    restored: usize,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Source::database(&folder.path().join("source.db"));
        let tree = Source::tree(&folder.path().join("tree"));
        let server = TestServer::builder()
            .instance_sqlite("database", database.path())
            .instance_directory("tree", tree.path())
            .setting("storage.trash_window_s", "0")
            .setting("catalog.max_chain", "6")
            .setting("catalog.reread_every", "4")
            .start();
        let (database, tree) = (Line::new("database", database), Line::new("tree", tree));
        Self { server, database, tree, restored: 0, _folder: folder }
    }

    fn line(&mut self, which: Which) -> &mut Line {
        match which {
            Which::Database => &mut self.database,
            Which::Tree => &mut self.tree,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Change(which, seed) => self.line(which).source.change(seed),
            Step::Backup(which, base) => self.back_up(which, base),
            Step::Delete(which, number) => self.delete(which, number),
            Step::Restore(which, number) => {
                let id = self.line(which).pick(number).map(|point| point.id.clone());
                if let Some(id) = id {
                    self.assert_restores(which, &id);
                }
            }
            Step::Restart => self.server.restart(),
            Step::PowerCut => {
                self.server.kill();
                self.server.restart();
            }
        }
    }

    fn back_up(&mut self, which: Which, base: Base) {
        let client = self.server.admin();
        let line = self.line(which);
        let named = match base {
            Base::Named(number) => line.pick(number).map(|point| point.id.clone()),
            Base::Nothing | Base::Newest => None,
        };
        let more = match (base, &named) {
            (Base::Nothing, _) => json!({}),
            (_, Some(id)) => json!({"parent_id": id}),
            (_, None) => json!({"incremental": 1}),
        };
        let made = client.completed(&client.create_backup(line.name, &more));
        let parent = made["parent_id"].as_str().map(str::to_owned);
        assert_eq!(made["kind"], if parent.is_some() { "incremental" } else { "full" });
        if named.is_some() || matches!(base, Base::Nothing) {
            assert_eq!(parent, named, "not built on what was asked for");
        }
        let id = made["id"].as_str().unwrap().to_owned();
        line.points.push(Point { id, parent, content: line.source.content() });
    }

    /// Deletes a backup with its descendants.
    fn delete(&mut self, which: Which, number: usize) {
        let client = self.server.admin();
        let line = self.line(which);
        let Some(root) = line.pick(number).map(|point| point.id.clone()) else { return };
        client.delete(&format!("backups/{root}")).with_status(202);
        let mut gone = vec![root];
        // In the order they were made, so parents come first.
        for point in &line.points {
            if point.parent.as_ref().is_some_and(|parent| gone.contains(parent)) {
                gone.push(point.id.clone());
            }
        }
        line.points.retain(|point| !gone.contains(&point.id));
        for id in &gone {
            client.wait_until_gone(id);
        }
    }

    fn assert_restores(&mut self, which: Which, id: &str) {
        self.restored += 1;
        let target = self.server.folder().join(format!("restored-{}", self.restored));
        let arguments = ["restore", id, "--to", target.to_str().unwrap()];
        self.server.run_ok(&arguments);
        let found = self.line(which).source.content_at(&target);
        let line = self.line(which);
        let point = line.points.iter().find(|point| point.id == id).unwrap();
        sources::assert_same(&found, &point.content);
    }

    /// The server has exactly the backups that it should have, and each restores.
    fn assert_in_order(&mut self) {
        for which in [Which::Database, Which::Tree] {
            let client = self.server.admin();
            let line = self.line(which);
            let path = format!("instances/{}/backups", client.instance_id(line.name));
            let mut listed = Vec::new();
            for row in client.all(&path, "backups") {
                assert_eq!(row["status"], "COMPLETED", "{row:#}");
                listed.push(row["id"].as_str().unwrap().to_owned());
            }
            // Newest first.
            let wanted: Vec<_> = line.points.iter().rev().map(|point| point.id.clone()).collect();
            assert_eq!(listed, wanted);
            for id in &wanted {
                self.assert_restores(which, id);
            }
        }
    }
}

#[test]
fn after_any_history_every_completed_backup_restores_exactly() {
    let long = std::env::var_os("COFFER_LONG").is_some();
    let (cases, longest) = if long { (150, 80) } else { (8, 50) };
    let config =
        Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let generator = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, generator);
    let outcome = runner.run(&steps(longest), |history| -> TestCaseResult {
        let mut world = World::new();
        for step in history {
            world.take(step);
        }
        world.assert_in_order();
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
