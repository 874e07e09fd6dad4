//! The thread that reads a source for one backup. A source that does not answer any more is given up, and its thread is
//! left behind: nothing can end it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use parking_lot::Mutex;

use crate::archive::Writer;
use crate::catalog::BackupJob;
use crate::domain::{BackupId, FailureCode, Instance, InstanceId};
use crate::engine::{DumpFacts, DumpRequest, Engine, EngineError, Pulse};
use crate::executor::{Context, JobError, Result};
use crate::telemetry::Subject;

use super::guarded;
use super::intake::{AllocationStep, BackupIntake, SharedPending, Sink};

/// How often it is seen to that the source answers.
const POLL: Duration = Duration::from_millis(100);

/// How long a source that is asked may take to answer once the work is cancelled.
const CANCELLED_WITHIN: Duration = Duration::from_secs(3);

/// The threads that read an instance for a backup that was given up. There is at most one of each instance.
static LEFT_BEHIND: Mutex<BTreeMap<InstanceId, Weak<()>>> = Mutex::new(BTreeMap::new());

/// How the source is read, apart from what the job says, and where to.
pub(super) struct Reading {
    pub(super) engine: &'static dyn Engine,
    pub(super) trust_stamps: bool,
    pub(super) parent_check: Option<String>,
    pub(super) writer: Writer<Sink>,
    pub(super) step: AllocationStep,
    /// What `writer` writes to.
    pub(super) pending: SharedPending,
}

type Read = Result<(Writer<Sink>, DumpFacts)>;

/// Reads the source. The writer comes back with what was found.
pub(super) fn dump(context: &Context, job: &BackupJob, reading: Reading) -> Read {
    let (instance, backup) = (job.instance.clone(), job.backup.id);
    let id = instance.id;
    if LEFT_BEHIND.lock().get(&id).is_some_and(|thread| thread.strong_count() > 0) {
        let text = format!(
            "the filesystem of {} still does not answer a backup that was given up: no other is begun until it does, \
             or Coffer starts again",
            instance.name
        );
        return Err(EngineError::known(FailureCode::SourceMissing, text).into());
    }
    let (pulse, pending) = (Pulse::default(), Arc::clone(&reading.pending));
    let context = Context { cancel: context.cancel.child(), ..context.clone() };
    let (done, is_done) = bounded(1);
    let lives = Arc::new(());
    let left_behind = Arc::downgrade(&lives);
    let source = Source { context: context.clone(), instance, backup, pulse: pulse.clone() };
    let read = move || {
        let _about = Subject::new("backup_id", backup);
        // Nobody waits for it if it was given up.
        done.send(guarded(|| source.read(reading))).ok();
        drop(lives);
    };
    let spawned = thread::Builder::new().name("source".to_owned()).spawn(read);
    spawned.map_err(|source| JobError::Io {
        action: "starting",
        what: "a thread".to_owned(),
        source,
    })?;
    wait(&is_done, &context, &pulse).unwrap_or_else(|given_up| {
        LEFT_BEHIND.lock().insert(id, left_behind);
        context.cancel.cancel();
        drop(pending.lock().take());
        Err(given_up)
    })
}

/// Waits until the source was read, or has to be given up: that is the error.
fn wait(is_done: &Receiver<Read>, context: &Context, pulse: &Pulse) -> Result<Read> {
    let mut cancelled: Option<Instant> = None;
    loop {
        let polled = Instant::now();
        match is_done.recv_timeout(POLL) {
            Ok(read) => return Ok(read),
            Err(RecvTimeoutError::Disconnected) => return Ok(Err(JobError::Panicked)),
            Err(RecvTimeoutError::Timeout) => {
                pulse.postpone(polled.elapsed().saturating_sub(POLL));
            }
        }
        if let Some(silent) = pulse.overdue() {
            return Err(silent.into());
        }
        let is_late = context.cancel.is_cancelled()
            && cancelled.get_or_insert_with(Instant::now).elapsed() > CANCELLED_WITHIN;
        if is_late && pulse.is_asking() {
            return Err(JobError::Cancelled);
        }
    }
}

/// What the thread reads.
struct Source {
    context: Context,
    instance: Instance,
    backup: BackupId,
    pulse: Pulse,
}

impl Source {
    fn read(self, reading: Reading) -> Read {
        let Reading { engine, trust_stamps, parent_check, mut writer, step, .. } = reading;
        let Self { context, instance, backup, pulse } = self;
        let request = DumpRequest {
            source: &instance.source,
            instance_name: &instance.name,
            check: instance.check,
            scratch: context.local.scratch()?,
            trust_stamps,
            parent_check: parent_check.as_deref(),
            cancel: &context.cancel,
        };
        let mut intake = BackupIntake::new(&mut writer, step, &context, backup, pulse);
        match engine.dump(&request, &mut intake) {
            Ok(facts) => Ok((writer, facts)),
            Err(EngineError::Stopped(_)) => Err(intake.into_error().unwrap_or(JobError::Cancelled)),
            Err(error) => Err(error.into()),
        }
    }
}
