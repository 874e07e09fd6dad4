//! Weeks in a time-lapse: the clock is simulated, and everything else is real. The server's own scheduler, executor and
//! alerts make, drill and delete archives of a database that changes every day; on one day it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::backups::{show_health, show_retention};
use crate::cli::error::{CommandError, Result, failed};
use crate::cli::interrupt::Interrupt;
use crate::cli::terminal::{counted, human, say};
use crate::config::Config;
use crate::domain::{
    Backup, BackupId, Cancel, CheckLevel, Clock as _, Status, SystemClock, Timestamp,
};
use crate::engine::{Owners, Target};
use crate::executor::{self, RestorePlan};
use crate::server::TimeLapse;
use crate::wire::{HealthView, RetentionView};

use super::compare;
use super::ledger::Ledger;
use super::tour::TIMEOUT;
use super::workspace::{DATABASE, INSTANCE, PROJECT, Workspace};

/// What the database commits each day.
const TRANSACTIONS: i64 = 60;

const DAY: u64 = 24 * 3600;

/// The file that the channel for alerts writes to.
const ALERTS: &str = "alerts.jsonl";

/// What the channel runs.
const CHANNEL: [&str; 3] = ["/bin/sh", "-c", "cat >> \"$0\" && echo >> \"$0\""];

struct Weeks<'a> {
    workspace: &'a Workspace,
    interrupt: &'a Interrupt,
    lapse: TimeLapse,
    ledger: Ledger,
    start: Timestamp,
    /// The last transaction that was committed when each backup was asked for. A backup that became a full one has the
    /// same time.
    expected: BTreeMap<Timestamp, i64>,
    /// The attempts that failed.
    failed: BTreeSet<BackupId>,
    /// How many messages of the channel were shown.
    shown: usize,
}

pub(super) fn run(
    weeks: u32,
    size_mib: u32,
    workspace: &Workspace,
    interrupt: &Interrupt,
) -> Result<()> {
    let began = Instant::now();
    let days = u64::from(weeks) * 7;
    // The last day is today, so that the status shows how long ago things were.
    let today = SystemClock.now();
    let start = midnight(today.minus(Duration::from_secs((days - 1) * DAY)));
    let text = configuration(workspace)?;
    let config = Config::from_toml(&text, "the demo's configuration")?;
    say(format_args!(
        "{weeks} weeks in a time-lapse, on temporary data in {}: the clock is simulated, all else is real.\n\n\
         [defaults]\n{}\n",
        workspace.root().display(),
        POLICY.trim_end()
    ));
    let documents = i64::from(size_mib) * 250;
    let ledger = Ledger::create(&workspace.path(DATABASE), documents, interrupt)?;
    let lapse = TimeLapse::start(&config, start)?;
    let (expected, failed, shown) = Default::default();
    let mut weeks = Weeks { workspace, interrupt, lapse, ledger, start, expected, failed, shown };
    let result = weeks.live(days).and_then(|()| weeks.report(documents));
    weeks.lapse.stop();
    result?;
    say(format_args!(
        "\n{days} days took {:.1} s. The temporary data is removed.",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// The policy, as it is shown.
const POLICY: &str = "schedule = \"daily 02:30\"
full_every = \"weekly\"
keep = { last = 3, daily = 7, weekly = 4 }
drill = \"weekly\"
alerts = [\"ops\"]
";

fn configuration(workspace: &Workspace) -> Result<String> {
    let path = |name: &str| {
        let path = workspace.path(name);
        path.to_str().map(|text| json!(text)).ok_or(failed("TMPDIR is not UTF-8")(path.display()))
    };
    let mut command: Vec<Value> = CHANNEL.iter().map(|it| json!(it)).collect();
    command.push(path(ALERTS)?);
    Ok(format!(
        "data_dir = {}\n[catalog]\nbackup = false\n[defaults]\ntimezone = \"UTC\"\n{POLICY}\
         [[alerts]]\nname = \"ops\"\ncommand = {}\n\
         [[instances]]\nname = \"{INSTANCE}\"\nproject_id = \"{PROJECT}\"\nengine = \"sqlite\"\n\
         source = {{ path = {} }}\n",
        path("data")?,
        json!(command),
        path(DATABASE)?,
    ))
}

impl Weeks<'_> {
    /// Every hour of these days.
    fn live(&mut self, days: u64) -> Result<()> {
        let fails_on = days * 2 / 3;
        let (folder, elsewhere) = (self.workspace.path(INSTANCE), self.workspace.path("gone"));
        say("  week  backups made  attempts failed    archives  what is kept");
        for day in 0..days {
            if day == fails_on {
                rename(&folder, &elsewhere)?;
            } else if day == fails_on + 1 {
                rename(&elsewhere, &folder)?;
            }
            if day != fails_on {
                let committed = self.ledger.transactions + TRANSACTIONS;
                self.ledger.advance_to(committed).map_err(failed("the day's transactions"))?;
            }
            // The last day goes on until now.
            for hour in 0..24 {
                let at = self.start.plus(Duration::from_secs(day * DAY + hour * 3600 + 1800));
                if at < SystemClock.now() {
                    self.advance(at)?;
                }
            }
            if day % 7 == 6 {
                self.show_week(day / 7 + 1)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self, at: Timestamp) -> Result<()> {
        self.lapse.set(at);
        let lapse = &mut self.lapse;
        self.interrupt
            .wait_for("the work of an hour", TIMEOUT, || Ok(lapse.is_done()?.then_some(())))?;
        for backup in self.lapse.context().catalog.every_backup()? {
            if backup.status == Status::Failed {
                self.failed.insert(backup.id);
            } else {
                self.expected.entry(backup.created).or_insert(self.ledger.transactions);
            }
        }
        self.show_alerts(at)
    }

    /// What the channel wrote since the last time.
    fn show_alerts(&mut self, at: Timestamp) -> Result<()> {
        let path = self.workspace.path(ALERTS);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(failed(format!("reading {}", path.display())))?,
        };
        for line in text.lines().skip(self.shown) {
            let message: Value = serde_json::from_str(line).map_err(failed("an alert"))?;
            let part = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
            say(format_args!("  {}  alert: {}", minute(at), part("title")));
            say(format_args!("                    {}", part("text")));
            self.shown += 1;
        }
        Ok(())
    }

    /// The backups that were not deleted, oldest first.
    fn kept(&self) -> Result<Vec<Backup>> {
        let catalog = &self.lapse.context().catalog;
        let deleted = catalog.deleted_backups()?;
        let mut all = catalog.every_backup()?;
        all.retain(|it| {
            it.status == Status::Completed && deleted.iter().all(|old| old.id != it.id)
        });
        Ok(all)
    }

    fn show_week(&self, week: u64) -> Result<()> {
        let kept = self.kept()?;
        let bytes = kept.iter().filter_map(|it| it.facts.as_ref()).map(|it| it.stored_bytes).sum();
        let (made, failed, points) = (self.expected.len(), self.failed.len(), kept.len());
        let oldest = kept.first().map_or(String::new(), |it| minute(it.created));
        say(format_args!(
            "  {week:<4}  {made:>12}  {failed:>15}  {:>10}  {}, the oldest of {oldest}",
            human(bytes),
            counted(u64::try_from(points).unwrap_or(u64::MAX), "restore point"),
        ));
        Ok(())
    }

    /// What retention keeps, the status, and a restore of the oldest restore point.
    fn report(&mut self, documents: i64) -> Result<()> {
        let catalog = &self.lapse.context().catalog;
        let instance = catalog.every_instance()?.into_iter().find(|it| it.name == INSTANCE);
        let instance = instance.ok_or_else(|| failed("the catalog")("it has no instance"))?;
        let retention = catalog.retention_of(instance.id)?;
        say("\ncoffer retention preview shop");
        show_retention(&RetentionView::new(
            instance.id,
            retention.keep.as_ref(),
            &retention.targets,
        ));
        let found = catalog.health_of_all()?;
        let instances = found.instances.into_iter().map(|it| (it.instance, it.health));
        say("\ncoffer status");
        show_health(&HealthView::new(found.problems, found.notices, instances, found.room), false);
        self.restore_oldest(documents)
    }

    fn restore_oldest(&self, documents: i64) -> Result<()> {
        let kept = self.kept()?;
        let oldest = kept.first().ok_or_else(|| failed("retention")("nothing is kept"))?;
        let target = self.workspace.path("restored.db");
        self.restore(oldest.id, &target)?;
        let number = self.expected.get(&oldest.created).copied().unwrap_or_default();
        let reference = self.workspace.path("expected.db");
        let mut reference = Ledger::create(&reference, documents, self.interrupt)?;
        let proof = compare::prove(&target, &(number..=number), &mut reference);
        let (transactions, rows) =
            proof.map_err(|it| CommandError::Damaged(format!("backup {}: {it}", oldest.id)))?;
        say(format_args!(
            "\nThe oldest restore point, of {}, was restored: it ends with transaction {transactions}, and all {rows} \
             rows are what was committed then.",
            minute(oldest.created)
        ));
        Ok(())
    }

    fn restore(&self, id: BackupId, target: &Path) -> Result<()> {
        let context = self.lapse.context();
        let cancel = Cancel::default();
        let chain = context.catalog.chain(id)?;
        let chain = executor::open_chain(&*context.storage, &chain, &cancel)?;
        let plan = RestorePlan {
            target: Target::Path(target),
            source: None,
            owners: Owners::FromArchive,
            check: CheckLevel::Quick,
            workers: 1,
            salvage: false,
            cancel: &cancel,
        };
        executor::restore(&chain, &plan, &|_done, _total| ()).map(drop)?;
        Ok(())
    }
}

/// `2026-11-27 02:30`
fn minute(at: Timestamp) -> String {
    at.to_wire().replace('T', " ").get(..16).unwrap_or_default().to_owned()
}

fn midnight(at: Timestamp) -> Timestamp {
    let micros = at.as_micros();
    Timestamp::from_micros(micros - micros.rem_euclid(24 * 3600 * 1_000_000))
}

#[expect(clippy::disallowed_methods, reason = "temporary data need not survive a crash")]
fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(failed(format!("moving {}", from.display())))
}
