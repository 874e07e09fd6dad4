//! The server, a release build, used over HTTP.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Outcome;
use super::measure::{
    Cost, MemoryWatch, cpu_of, discard, measure, memory_of, mib, reset_peak, run_shell, settle,
};
use super::options::Program;

pub(crate) const PROJECT: &str = "bench";
/// The secret of the one token, where tokens are asked for.
pub(crate) const SECRET: &str = "secret-secret";
/// Longer than any backup here takes.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A finished backup and what it cost.
#[derive(Debug)]
pub(crate) struct Backup {
    pub(crate) id: String,
    /// From the request to COMPLETED, as the client sees it, without the engine's check.
    pub(crate) cost: Cost,
    /// To the finished and synced file, as the server logs it.
    pub(crate) written_s: f64,
    pub(crate) check_s: f64,
    /// The server's own peak memory, without the tools it runs.
    pub(crate) own_mib: f64,
}

/// A copy that was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    pub(crate) bytes: u64,
    /// Until all of it was sent, without its proof.
    pub(crate) sent_s: f64,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) program: Program,
    child: Child,
    url: String,
    log: Receiver<String>,
    config: PathBuf,
    /// What is read into the page cache before each measurement.
    cached: Vec<PathBuf>,
    backups: u32,
    /// From the start of the process to the line that says where it listens.
    pub(crate) started_in: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One instance of the configuration: name, engine, check, and its source as a table of TOML.
pub(crate) type Instance<'a> = (&'a str, &'a str, &'a str, &'a str);

/// The source that is a file or folder.
pub(crate) fn at(path: &Path) -> String {
    format!("{{ path = {} }}", json!(path))
}

/// Writes a configuration whose data directory is the folder `name`.
pub(crate) fn configure(
    folder: &Path,
    name: &str,
    settings: &str,
    instances: &[Instance<'_>],
) -> Outcome<PathBuf> {
    let config = folder.join(format!("{name}.toml"));
    let mut text = format!(
        "data_dir = {}\n[server]\nlisten = \"127.0.0.1:0\"\n{settings}\n",
        json!(folder.join(name))
    );
    for (name, engine, check, source) in instances {
        write!(
            text,
            "[[instances]]\nname = \"{name}\"\nproject_id = \"{PROJECT}\"\nengine = \"{engine}\"\n\
             check = \"{check}\"\nsource = {source}\n"
        )?;
    }
    #[expect(clippy::disallowed_methods, reason = "a file of the bench's own")]
    std::fs::write(&config, text)?;
    Ok(config)
}

impl Server {
    /// Starts it on a free port.
    pub(crate) fn start(program: &Program, config: &Path) -> Outcome<Self> {
        Self::start_with(program, config, &[])
    }

    /// The same, with these variables.
    pub(crate) fn start_with(
        program: &Program,
        config: &Path,
        more: &[(&str, &str)],
    ) -> Outcome<Self> {
        let started = Instant::now();
        let mut command = Command::new(&program.path);
        command.envs(more.iter().copied());
        // One token sends all requests. A version before the limits does not know the key.
        if memchr::memmem::find(&std::fs::read(&program.path)?, b"token_requests_per_second")
            .is_some()
        {
            command.env("COFFER__LIMITS__TOKEN_REQUESTS_PER_SECOND", "0");
        }
        let mut child = command
            .args(["serve", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let (send, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nothing here reads the access log.
                if !line.contains("coffer::access") && send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server = Self {
            program: program.clone(),
            child,
            url: String::new(),
            log,
            config: config.to_owned(),
            cached: vec![config.with_extension("")],
            backups: 0,
            started_in: Duration::ZERO,
        };
        let line = server.wait_for_line("listening on ")?;
        server.started_in = started.elapsed();
        let address = line.split("listening on ").nth(1).ok_or("no address")?;
        address.trim().clone_into(&mut server.url);
        Ok(server)
    }

    /// The same server, which reads these into the page cache before each measurement.
    pub(crate) fn caching(mut self, places: &[&Path]) -> Self {
        self.cached = places.iter().map(|it| it.to_path_buf()).collect();
        self
    }

    /// The folder that it stores everything in.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.config.with_extension("")
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Ends it as systemd would.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        run_shell(&format!("kill {}", self.pid()))?;
        self.child.wait()?;
        Ok(())
    }

    fn wait_for_line(&self, part: &str) -> Outcome<String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let line = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
            if line.contains(part) {
                return Ok(line);
            }
            if line.contains(" failed: ") {
                return Err(line.into());
            }
        }
    }

    /// The id of the instance with this name.
    pub(crate) fn instance(&self, name: &str) -> Outcome<String> {
        let url = format!("{}/v1.0/{PROJECT}/instances", self.url);
        let listed: Value =
            ureq::get(&url).header("X-Auth-Token", SECRET).call()?.body_mut().read_json()?;
        let rows = listed["instances"].as_array().ok_or("no instances")?;
        let found = rows.iter().find(|row| row["name"] == name).ok_or("instance is missing")?;
        Ok(found["id"].as_str().ok_or("no id")?.to_owned())
    }

    /// Requests a backup of an instance, by its id. Returns the backup's id.
    pub(crate) fn request_backup(&mut self, instance: &str, incremental: bool) -> Outcome<String> {
        self.backups += 1;
        let name = format!("bench {}", self.backups);
        let body = json!({"backup": {
            "name": name, "instance": instance, "incremental": u8::from(incremental),
        }});
        let url = format!("{}/v1.0/{PROJECT}/backups", self.url);
        let answer: Value = ureq::post(&url)
            .header("X-Auth-Token", SECRET)
            .send_json(&body)?
            .body_mut()
            .read_json()?;
        Ok(answer["backup"]["id"].as_str().ok_or("no id")?.to_owned())
    }

    /// Waits until a backup is COMPLETED. Returns the line of the log that says so.
    pub(crate) fn wait_for(&self, id: &str) -> Outcome<String> {
        self.wait_for_line(&format!("backup {id} is complete"))
    }

    /// Waits until a backup is copied to a place, which is proven.
    pub(crate) fn wait_for_copy(&self, id: &str) -> Outcome<Copied> {
        let line = self.wait_for_line(&format!("backup {id} is copied to "))?;
        let behind = line.split(" is copied to ").nth(1).ok_or("no place")?;
        let bytes = behind.split(' ').nth(1).ok_or("no figure")?.parse()?;
        Ok(Copied { bytes, sent_s: milliseconds(&line, "sent in ")? / 1000.0 })
    }

    /// Its program and its configuration, for a line of shell.
    pub(crate) fn as_command(&self) -> (String, String) {
        (self.program.path.display().to_string(), self.config.display().to_string())
    }

    /// How many backups were completed since the last call.
    pub(crate) fn completed_since(&self) -> usize {
        self.log.try_iter().filter(|line| line.contains(" is complete: ")).count()
    }

    fn settle(&self) -> Outcome<()> {
        settle(self.cached.iter().map(PathBuf::as_path))
    }

    /// Makes a backup of the instance with this name.
    pub(crate) fn backup(&mut self, instance: &str, incremental: bool) -> Outcome<Backup> {
        let instance = self.instance(instance)?;
        self.settle()?;
        reset_peak(self.pid())?;
        let (started, cpu) = (Instant::now(), cpu_of(self.pid())?);
        let tree = MemoryWatch::start(self.pid());
        let id = self.request_backup(&instance, incremental)?;
        let line = self.wait_for(&id)?;
        let wall_s = started.elapsed().as_secs_f64();
        let (tree_mib, own_mib) = (tree.peak()?, memory_of(self.pid(), "VmHWM:")?);
        let check_s = milliseconds(&line, "checked in ")? / 1000.0;
        let url = format!("{}/v1.0/{PROJECT}/backups/{id}", self.url);
        let shown: Value =
            ureq::get(&url).header("X-Auth-Token", SECRET).call()?.body_mut().read_json()?;
        let cost = Cost {
            wall_s: wall_s - check_s,
            cpu_s: cpu_of(self.pid())? - cpu,
            rss_mib: tree_mib.max(own_mib),
            stored_mib: mib(shown["backup"]["size_bytes"].as_u64().ok_or("no size")?),
        };
        let written_s = milliseconds(&line, "written in ")? / 1000.0;
        Ok(Backup { id, cost, written_s, check_s, own_mib })
    }

    /// Runs `coffer restore`, in a process of its own.
    pub(crate) fn restore(&self, id: &str, target: &Path) -> Outcome<Cost> {
        let to = target.display();
        discard(target)?;
        self.settle()?;
        let cost = self.command(&format!("restore {id} --check off --to '{to}'"))?;
        discard(target)?;
        Ok(cost)
    }

    /// Runs `coffer verify`, in a process of its own.
    pub(crate) fn verify(&self, id: &str) -> Outcome<Cost> {
        self.settle()?;
        self.command(&format!("verify {id}"))
    }

    fn command(&self, arguments: &str) -> Outcome<Cost> {
        let (program, config) = (self.program.path.display(), self.config.display());
        measure(&format!("'{program}' {arguments} --config '{config}'"))
    }
}

/// The milliseconds behind `label` in a line of the log.
fn milliseconds(line: &str, label: &str) -> Outcome<f64> {
    let behind = line.split(label).nth(1).ok_or("the log line has no such figure")?;
    Ok(behind.split(' ').next().ok_or("no figure")?.parse()?)
}
