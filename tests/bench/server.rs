//! The real server, release build, driven over HTTP.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Outcome;
use super::measure::seconds;

const PROJECT: &str = "bench";
/// Longer than any backup here takes.
const PATIENCE: Duration = Duration::from_secs(900);

/// A finished backup and its times.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) archive: String,
    pub(crate) stored: u64,
    /// From the request to COMPLETED, as the client sees it, without the engine's check.
    pub(crate) total_s: f64,
    /// To the finished and synced file, as the server logs it.
    pub(crate) written_s: f64,
    pub(crate) check_s: f64,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
    log: Receiver<String>,
    config: PathBuf,
    made: u32,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// Starts it on a free port, with two instances of the database: one unchecked, one checked.
    pub(crate) fn start(folder: &Path, database: &Path) -> Outcome<Self> {
        let config = folder.join("coffer.toml");
        let (data, source) = (folder.join("data"), json!(database));
        let text = format!(
            "data_dir = {}\n[server]\nlisten = \"127.0.0.1:0\"\n[auth]\nmode = \"none\"\n\
             [executor]\ncompression_threads = 2\n[storage]\ntrash_window_s = 0\n\
             [[instances]]\nname = \"plain\"\nproject_id = \"{PROJECT}\"\nengine = \"sqlite\"\ncheck = \"off\"\nsource = {{ path = {source} }}\n\
             [[instances]]\nname = \"checked\"\nproject_id = \"{PROJECT}\"\nengine = \"sqlite\"\nsource = {{ path = {source} }}\n",
            json!(data)
        );
        #[expect(clippy::disallowed_methods, reason = "a file of the bench's own")]
        std::fs::write(&config, text)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_coffer"))
            .args(["serve", "--config"])
            .arg(&config)
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let (send, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { child, url: String::new(), log, config, made: 0 };
        let line = server.wait_for_line("listening on ")?;
        let address = line.split("listening on ").nth(1).ok_or("no address")?;
        address.trim().clone_into(&mut server.url);
        Ok(server)
    }

    fn wait_for_line(&self, part: &str) -> Outcome<String> {
        let deadline = Instant::now() + PATIENCE;
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

    fn instance(&self, name: &str) -> Outcome<String> {
        let url = format!("{}/v1.0/{PROJECT}/instances", self.url);
        let listed: Value = ureq::get(&url).call()?.body_mut().read_json()?;
        let rows = listed["instances"].as_array().ok_or("no instances")?;
        let found = rows.iter().find(|row| row["name"] == name).ok_or("instance is missing")?;
        Ok(found["id"].as_str().ok_or("no id")?.to_owned())
    }

    /// A backup of the unchecked instance.
    pub(crate) fn backup(&mut self, incremental: bool) -> Outcome<Made> {
        self.make("plain", incremental)
    }

    /// A full backup of the checked instance.
    pub(crate) fn checked_backup(&mut self) -> Outcome<Made> {
        let made = self.make("checked", false)?;
        let url = format!("{}/v1.0/{PROJECT}/backups/{}", self.url, made.id);
        ureq::delete(&url).call()?;
        Ok(made)
    }

    fn make(&mut self, instance: &str, incremental: bool) -> Outcome<Made> {
        self.made += 1;
        let name = format!("bench {}", self.made);
        let body = json!({"backup": {
            "name": name, "instance": self.instance(instance)?, "incremental": u8::from(incremental),
        }});
        let url = format!("{}/v1.0/{PROJECT}/backups", self.url);
        let started = Instant::now();
        let made: Value = ureq::post(&url).send_json(&body)?.body_mut().read_json()?;
        let id = made["backup"]["id"].as_str().ok_or("no id")?.to_owned();
        let line = self.wait_for_line(&format!("backup {id} is complete"))?;
        let total = seconds(started.elapsed());
        let shown: Value = ureq::get(format!("{url}/{id}")).call()?.body_mut().read_json()?;
        let check_s = milliseconds(&line, "checked in ")? / 1000.0;
        let location = shown["backup"]["locationRef"].as_str().ok_or("no location")?;
        Ok(Made {
            id,
            archive: location.trim_start_matches("file://").to_owned(),
            stored: shown["backup"]["size_bytes"].as_u64().ok_or("no size")?,
            total_s: total - check_s,
            written_s: milliseconds(&line, "written in ")? / 1000.0,
            check_s,
        })
    }

    /// `coffer restore` of a backup: how long, and its peak memory in MiB.
    pub(crate) fn restore(&self, id: &str, target: &Path) -> Outcome<(Duration, f64)> {
        let started = Instant::now();
        let output = Command::new("/usr/bin/time")
            .args(["-f", "%M", env!("CARGO_BIN_EXE_coffer"), "restore", id, "--check", "off"])
            .arg("--config")
            .arg(&self.config)
            .arg("--to")
            .arg(target)
            .stdout(Stdio::null())
            .output()?;
        let taken = started.elapsed();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(said.into());
        }
        let kib: u32 = said.lines().last().ok_or("no figure")?.trim().parse()?;
        Ok((taken, f64::from(kib) / 1024.0))
    }

    /// The most memory the server ever had resident, in MiB.
    pub(crate) fn peak_rss_mib(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
        let kib: u32 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
        Ok(f64::from(kib) / 1024.0)
    }
}

/// The milliseconds behind `label` in a line of the log.
fn milliseconds(line: &str, label: &str) -> Outcome<f64> {
    let behind = line.split(label).nth(1).ok_or("the log line has no such figure")?;
    Ok(behind.split(' ').next().ok_or("no figure")?.parse()?)
}
