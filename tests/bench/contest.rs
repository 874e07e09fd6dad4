//! One source, every tool, the same work, one after the other, round by round.

use std::path::Path;

use super::Outcome;
use super::data;
use super::measure::Cost;
use super::server::{Made, Server, at, configure};
use super::table::{Figures, Table};
use super::tools::{Kind, TOOLS, Tool, Work};

/// A row, and what changes before it.
pub(crate) type Change = (&'static str, fn(&Path, u64) -> Outcome<()>);

/// What is backed up, and what becomes of it.
pub(crate) struct Contest<'a> {
    /// The word in front of the rows.
    pub(crate) name: &'static str,
    /// The engine that Coffer reads it with.
    pub(crate) engine: &'static str,
    pub(crate) kind: Kind,
    /// The file or folder; of a server, the folder with its socket and its data.
    pub(crate) source: &'a Path,
    /// The same, as Coffer's configuration has it.
    pub(crate) configured: String,
    /// Where stores and targets lie: the same disk for everybody.
    pub(crate) folder: &'a Path,
    /// Row, and what changes before it.
    pub(crate) changes: &'a [Change],
}

const COFFER: &str = "coffer";

/// Chain depth of the deep restore.
const DEPTH: u64 = 30;

impl Contest<'_> {
    /// The peers that can take part.
    fn peers(&self) -> impl Iterator<Item = &'static Tool> {
        TOOLS.iter().filter(|it| it.reads.contains(&self.kind) && it.is_there())
    }

    /// Starts a server. `settings` are lines of its `[catalog]`.
    fn server(&self, name: &str, settings: &str) -> Outcome<Server> {
        let settings = format!(
            "[auth]\nmode = \"none\"\n[executor]\nnice = 0\n[storage]\ntrash_window_s = 0\n\
             [catalog]\nmax_chain = 100\n{settings}"
        );
        let (checked, engine) = (format!("{}-checked", self.name), self.engine);
        let instances = [
            (self.name, engine, "off", self.configured.as_str()),
            (checked.as_str(), engine, "quick", self.configured.as_str()),
        ];
        let config = configure(self.folder, name, &settings, &instances)?;
        let server = Server::start(&config)?;
        Ok(if self.kind.is_cached() { server.reading(self.source) } else { server })
    }

    /// Every round, then the deep chain. Of a running server every byte is read each time anyway.
    pub(crate) fn run(&self, rounds: u64, table: &mut Table, own: &mut Figures) -> Outcome<()> {
        let mut server = self.server("coffer-main", "reread_every = 0")?;
        let mut reader = None;
        if !self.kind.is_server() {
            let reader = reader.insert(self.server("coffer-reread", "reread_every = 1")?);
            reader.backup(self.name, false)?;
        }
        for round in 0..rounds {
            eprintln!("{}: round {} of {rounds}", self.name, round + 1);
            let most = self.round(round, table, &mut server, reader.as_mut())?;
            if self.kind.is_server() {
                let row = format!("{}: peak RSS of Coffer itself, without the tools", self.name);
                own.put(&row, "MiB", most);
            }
        }
        if self.kind.is_server() {
            return Ok(());
        }
        self.deep_chain(rounds, table, &mut server)
    }

    fn peers_do(&self, row: &str, work: Work, table: &mut Table) -> Outcome<()> {
        for tool in self.peers() {
            if let Some(cost) = tool.run(self.folder, self.source, work)? {
                table.put(&format!("{}: {row}", self.name), tool.name, cost);
            }
        }
        Ok(())
    }

    /// One round; the most memory that Coffer itself took in it.
    fn round(
        &self,
        round: u64,
        table: &mut Table,
        server: &mut Server,
        reader: Option<&mut Server>,
    ) -> Outcome<f64> {
        let name = self.name;
        let Made { id: full, own_mib: mut most, .. } = self.full(table, server)?;
        self.peers_do("unchanged", Work::Again, table)?;
        table.put(&format!("{name}: unchanged"), COFFER, server.backup(name, true)?.cost);
        if let Some(reader) = reader {
            // Catches up with what the round before changed; not measured.
            reader.backup(name, true)?;
            self.peers_do("unchanged, every byte read", Work::Reread, table)?;
            let reread = reader.backup(name, true)?;
            table.put(&format!("{name}: unchanged, every byte read"), COFFER, reread.cost);
        }
        let mut newest = full.clone();
        for (row, change) in self.changes {
            change(self.source, round)?;
            self.peers_do(row, Work::Changed, table)?;
            let made = server.backup(name, true)?;
            table.put(&format!("{name}: {row}"), COFFER, made.cost);
            most = most.max(made.own_mib);
            newest = made.id;
        }
        self.peers_do("restore", Work::Restore, table)?;
        let target = self.folder.join("coffer-restored");
        let restored = server.restore(&full, &target)?;
        table.put(&format!("{name}: restore"), COFFER, restored);
        if self.kind == Kind::MariaDb {
            let row = "restore, ready to start";
            self.peers_do(row, Work::Ready, table)?;
            table.put(&format!("{name}: {row}"), COFFER, restored);
        }
        table.put(
            &format!("{name}: restore, newest incremental"),
            COFFER,
            server.restore(&newest, &target)?,
        );
        self.peers_do("verify", Work::Verify, table)?;
        table.put(&format!("{name}: verify"), COFFER, server.verify(&full)?);
        Ok(most)
    }

    /// The full backup, up to the synced file and up to COMPLETED, and with the engine's check.
    fn full(&self, table: &mut Table, server: &mut Server) -> Outcome<Made> {
        let name = self.name;
        let (written, proven) =
            (format!("{name}: full, to the finished file"), format!("{name}: full, proven"));
        for tool in self.peers() {
            let Some(cost) = tool.run(self.folder, self.source, Work::Full)? else { continue };
            table.put(&written, tool.name, cost);
            if let Some(proof) = tool.run(self.folder, self.source, Work::Verify)? {
                table.put(
                    &proven,
                    tool.name,
                    Cost {
                        wall_s: cost.wall_s + proof.wall_s,
                        cpu_s: cost.cpu_s + proof.cpu_s,
                        ..cost
                    },
                );
            }
        }
        let full = server.backup(name, false)?;
        table.put(&written, COFFER, Cost { wall_s: full.written_s, ..full.cost });
        table.put(&proven, COFFER, full.cost);
        let check = match self.kind {
            Kind::File => Some("SQLite's quick_check of the source"),
            Kind::Folder => None,
            Kind::PostgreSql | Kind::MariaDb | Kind::Redis => Some("the engine's quick check"),
        };
        if let Some(check) = check {
            let checked = server.backup(&format!("{name}-checked"), false)?;
            let wall_s = checked.cost.wall_s + checked.check_s;
            let row = format!("{name}: full, proven, with {check}");
            table.put(&row, COFFER, Cost { wall_s, ..checked.cost });
        }
        Ok(full)
    }

    fn deep_chain(&self, rounds: u64, table: &mut Table, server: &mut Server) -> Outcome<()> {
        let Some((_row, change)) = self.changes.first() else { return Ok(()) };
        eprintln!("{}: a chain of {DEPTH}", self.name);
        let full = server.backup(self.name, false)?.id;
        let mut newest = full.clone();
        for step in 0..DEPTH {
            change(self.source, 50 + step)?;
            newest = server.backup(self.name, true)?.id;
        }
        let target = self.folder.join("coffer-restored");
        for _round in 0..rounds {
            for (depth, id) in [(0, &full), (DEPTH, &newest)] {
                let row = format!("{}: restore at depth {depth}", self.name);
                table.put(&row, COFFER, server.restore(id, &target)?);
            }
        }
        Ok(())
    }
}

/// The SQLite rows.
pub(crate) fn sqlite(folder: &Path, mib: u64, rounds: u64, table: &mut Table) -> Outcome<()> {
    let source = folder.join("bench.db");
    eprintln!("making a database of {mib} MiB");
    data::make(&source, mib)?;
    let changes: [Change; 2] =
        [("1 % changed, scattered", data::scatter), ("1 % changed, in one place", data::cluster)];
    let contest = Contest {
        name: "sqlite",
        engine: "sqlite",
        kind: Kind::File,
        source: &source,
        configured: at(&source),
        folder,
        changes: &changes,
    };
    contest.run(rounds, table, &mut Figures::default())
}

/// The tree's rows.
pub(crate) fn tree(
    folder: &Path,
    (files, mib): (u64, u64),
    rounds: u64,
    table: &mut Table,
) -> Outcome<()> {
    let source = folder.join("tree");
    eprintln!("making a tree of {files} files, {mib} MiB");
    data::make_tree(&source, files, mib)?;
    let changes: [Change; 1] = [("1 % changed", data::change_tree)];
    let contest = Contest {
        name: "tree",
        engine: "directory",
        kind: Kind::Folder,
        source: &source,
        configured: at(&source),
        folder,
        changes: &changes,
    };
    contest.run(rounds, table, &mut Figures::default())
}
