//! One source, every tool, the same work, one after the other, round by round.

use std::path::Path;

use super::Outcome;
use super::data;
use super::measure::Cost;
use super::options::{COFFER, Options, Program};
use super::server::{Backup, Server, at, configure};
use super::table::Results;
use super::tools::{Kind, TOOLS, Tool, Work};

/// A row, and what changes before it.
pub(crate) type Change = (&'static str, fn(&Path, u64) -> Outcome<()>);

/// The source, and where everything that is made from it lies.
pub(crate) struct Contest<'a> {
    /// The word in front of the rows.
    pub(crate) name: &'static str,
    /// The engine that Coffer reads it with.
    pub(crate) engine: &'static str,
    pub(crate) kind: Kind,
    /// The file or folder; of a server, the folder with its socket and its data.
    pub(crate) source: &'a Path,
    /// The source in Coffer's configuration.
    pub(crate) configured: String,
    /// Where stores and targets lie, all on one disk.
    pub(crate) folder: &'a Path,
    pub(crate) changes: &'a [Change],
}

/// One Coffer in the contest.
struct Coffer {
    server: Server,
    /// A second server, which reads every byte again each time. Of a database server Coffer always does.
    rereading: Option<Server>,
    /// A third one, whose archives are encrypted. An older Coffer has none.
    encrypting: Option<Server>,
    /// The last full backup, and the last backup.
    full: String,
    newest: String,
    /// The most memory that the server itself took in this round.
    own_mib: f64,
}

impl Coffer {
    fn name(&self) -> &'static str {
        self.server.program.name
    }

    fn backup(&mut self, instance: &str, incremental: bool) -> Outcome<Backup> {
        let backup = self.server.backup(instance, incremental)?;
        self.newest.clone_from(&backup.id);
        self.own_mib = self.own_mib.max(backup.own_mib);
        Ok(backup)
    }
}

/// Archives that are encrypted to a public key; nobody has the secret one.
const ENCRYPTED: &str = "reread_every = 0\n[encryption]\napplies_to = \"both\"\n\
    recipients = [\"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\"]";

/// The length of the chain that the deep restore needs.
const DEPTH: u64 = 30;

impl Contest<'_> {
    /// Runs every round, then the deep chain.
    pub(crate) fn run(&self, options: &Options, results: &mut Results) -> Outcome<()> {
        let tools: Vec<&Tool> = TOOLS.iter().filter(|it| self.takes_part(it, options)).collect();
        let programs = options.programs.iter();
        let mut coffers =
            programs.map(|it| self.coffer(it, options)).collect::<Outcome<Vec<_>>>()?;
        for number in 0..options.rounds {
            eprintln!("{}: round {} of {}", self.name, number + 1, options.rounds);
            Round { contest: self, number, tools: &tools, results }.run(&mut coffers)?;
            if self.kind.is_server() {
                for coffer in &coffers {
                    let row =
                        format!("{}: peak RSS of Coffer itself, without the tools", self.name);
                    results.figure(&row, coffer.name(), "MiB", coffer.own_mib);
                }
            }
            // Each round begins with another binary.
            coffers.rotate_left(1);
        }
        if self.kind.is_server() {
            return Ok(());
        }
        self.deep_chain(options.rounds, &mut coffers, results)
    }

    fn takes_part(&self, tool: &Tool, options: &Options) -> bool {
        let asked_for = !options.only_coffer || tool.program == "tar";
        asked_for && tool.reads.contains(&self.kind) && tool.is_installed()
    }

    fn coffer(&self, program: &Program, options: &Options) -> Outcome<Coffer> {
        let server = self.server("main", "reread_every = 0", program, options)?;
        let rereading = if self.kind.is_server() {
            None
        } else {
            let mut server = self.server("reread", "reread_every = 1", program, options)?;
            server.backup(self.name, false)?;
            Some(server)
        };
        let encrypting = if self.kind.is_server() || program.name != COFFER {
            None
        } else {
            Some(self.server("encrypted", ENCRYPTED, program, options)?)
        };
        Ok(Coffer {
            server,
            rereading,
            encrypting,
            full: String::new(),
            newest: String::new(),
            own_mib: 0.0,
        })
    }

    /// Starts a server. `settings` are lines of its `[catalog]`.
    fn server(
        &self,
        role: &str,
        settings: &str,
        program: &Program,
        options: &Options,
    ) -> Outcome<Server> {
        let settings = format!(
            "[auth]\nmode = \"none\"\n[executor]\nnice = 0\n[storage]\ntrash_window_s = 0\n\
             [catalog]\nmax_chain = 100\n{settings}"
        );
        let (checked, engine) = (format!("{}-checked", self.name), self.engine);
        let instances = [
            (self.name, engine, "off", self.configured.as_str()),
            (checked.as_str(), engine, "quick", self.configured.as_str()),
        ];
        let name = format!("{}-{role}", program.name);
        let config = configure(self.folder, &name, &settings, &instances)?;
        let server = Server::start(program, &config)?;
        Ok(if options.only_coffer {
            // Only some of the other tools drop files from the page cache.
            server.caching(&[])
        } else if self.kind.is_cached() {
            server.caching(&[&self.folder.join(name), self.source])
        } else {
            server
        })
    }

    fn deep_chain(
        &self,
        rounds: u64,
        coffers: &mut [Coffer],
        results: &mut Results,
    ) -> Outcome<()> {
        let Some((_row, change)) = self.changes.first() else { return Ok(()) };
        eprintln!("{}: a chain of {DEPTH}", self.name);
        for coffer in &mut *coffers {
            coffer.full = coffer.backup(self.name, false)?.id;
        }
        for step in 0..DEPTH {
            change(self.source, 50 + step)?;
            for coffer in &mut *coffers {
                coffer.backup(self.name, true)?;
            }
        }
        let target = self.folder.join("coffer-restored");
        for _round in 0..rounds {
            for coffer in &*coffers {
                for (depth, id) in [(0, &coffer.full), (DEPTH, &coffer.newest)] {
                    let row = format!("{}: restore at depth {depth}", self.name);
                    results.cost(&row, coffer.name(), coffer.server.restore(id, &target)?);
                }
            }
            coffers.rotate_left(1);
        }
        Ok(())
    }
}

/// One round of a contest.
struct Round<'a> {
    contest: &'a Contest<'a>,
    number: u64,
    tools: &'a [&'static Tool],
    results: &'a mut Results,
}

impl Round<'_> {
    fn run(&mut self, coffers: &mut [Coffer]) -> Outcome<()> {
        let name = self.contest.name;
        self.full(coffers)?;
        self.tools("unchanged", Work::Unchanged)?;
        for coffer in &mut *coffers {
            let cost = coffer.backup(name, true)?.cost;
            self.cost("unchanged", coffer.name(), cost);
        }
        self.reread(coffers)?;
        for (row, change) in self.contest.changes {
            change(self.contest.source, self.number)?;
            self.tools(row, Work::Changed)?;
            for coffer in &mut *coffers {
                let cost = coffer.backup(name, true)?.cost;
                self.cost(row, coffer.name(), cost);
            }
        }
        self.restore(coffers)?;
        self.tools("verify", Work::Verify)?;
        for coffer in &*coffers {
            self.cost("verify", coffer.name(), coffer.server.verify(&coffer.full)?);
        }
        Ok(())
    }

    fn cost(&mut self, row: &str, by: &'static str, cost: Cost) {
        self.results.cost(&format!("{}: {row}", self.contest.name), by, cost);
    }

    /// Has every tool that can do it do the same work.
    fn tools(&mut self, row: &str, work: Work) -> Outcome<()> {
        for tool in self.tools {
            if let Some(cost) = tool.run(self.contest.folder, self.contest.source, work)? {
                self.cost(row, tool.name, cost);
            }
        }
        Ok(())
    }

    /// The full backup, up to the synced file and up to COMPLETED, and with the engine's check.
    fn full(&mut self, coffers: &mut [Coffer]) -> Outcome<()> {
        let (written, proven) = ("full, to the finished file", "full, proven");
        for tool in self.tools {
            let run = |work| tool.run(self.contest.folder, self.contest.source, work);
            let Some(cost) = run(Work::Full)? else { continue };
            let proof = run(Work::Verify)?;
            self.cost(written, tool.name, cost);
            if let Some(proof) = proof {
                let (wall_s, cpu_s) = (cost.wall_s + proof.wall_s, cost.cpu_s + proof.cpu_s);
                self.cost(proven, tool.name, Cost { wall_s, cpu_s, ..cost });
            }
        }
        let check = match self.contest.kind {
            Kind::File => Some("SQLite's quick_check of the source"),
            Kind::Folder => None,
            Kind::PostgreSql | Kind::MariaDb | Kind::Redis => Some("the engine's quick check"),
        };
        for coffer in coffers {
            coffer.own_mib = 0.0;
            let full = coffer.backup(self.contest.name, false)?;
            self.cost(written, coffer.name(), Cost { wall_s: full.written_s, ..full.cost });
            self.cost(proven, coffer.name(), full.cost);
            coffer.full = full.id;
            if let Some(server) = &mut coffer.encrypting {
                let encrypted = server.backup(self.contest.name, false)?;
                let row = format!("{proven}, encrypted");
                self.cost(&row, server.program.name, encrypted.cost);
            }
            if let Some(check) = check {
                let instance = format!("{}-checked", self.contest.name);
                let checked = coffer.server.backup(&instance, false)?;
                let wall_s = checked.cost.wall_s + checked.check_s;
                let row = format!("{proven}, with {check}");
                self.cost(&row, coffer.name(), Cost { wall_s, ..checked.cost });
            }
        }
        Ok(())
    }

    /// The unchanged source once more, every byte of it read.
    fn reread(&mut self, coffers: &mut [Coffer]) -> Outcome<()> {
        let row = "unchanged, every byte read";
        if self.contest.kind.is_server() {
            return Ok(());
        }
        self.tools(row, Work::Reread)?;
        for coffer in coffers {
            let Some(server) = &mut coffer.rereading else { continue };
            // Catches up with the changes of the round before; not measured.
            server.backup(self.contest.name, true)?;
            let cost = server.backup(self.contest.name, true)?.cost;
            self.cost(row, server.program.name, cost);
        }
        Ok(())
    }

    fn restore(&mut self, coffers: &[Coffer]) -> Outcome<()> {
        let ready = "restore, ready to start";
        self.tools("restore", Work::Restore)?;
        if self.contest.kind == Kind::MariaDb {
            self.tools(ready, Work::RestoreReady)?;
        }
        let target = self.contest.folder.join("coffer-restored");
        for coffer in coffers {
            let (by, server) = (coffer.name(), &coffer.server);
            let cost = server.restore(&coffer.full, &target)?;
            self.cost("restore", by, cost);
            if self.contest.kind == Kind::MariaDb {
                self.cost(ready, by, cost);
            }
        }
        for coffer in coffers {
            let cost = coffer.server.restore(&coffer.newest, &target)?;
            self.cost("restore, newest incremental", coffer.name(), cost);
        }
        Ok(())
    }
}

/// The SQLite rows, and what a backup costs a writer.
pub(crate) fn sqlite(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let (source, mib) = (folder.join("bench.db"), options.size.mib);
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
    contest.run(options, results)?;
    super::live::writer_waits(folder, options, results)
}

/// The tree's rows.
pub(crate) fn tree(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let (source, files, mib) = (folder.join("tree"), options.size.files, options.size.mib);
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
    contest.run(options, results)
}
