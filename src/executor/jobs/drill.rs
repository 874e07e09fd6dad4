//! A claimed drill.

use std::time::Instant;

use crate::catalog::DrillJob;
use crate::domain::with_causes;
use crate::executor::drill::{DrillPlan, cancelled_or, drill};
use crate::executor::{Context, chain};
use crate::failpoint;

use super::guarded;
use super::outcome::Outcome;

/// Makes the drill, unless its backup is being deleted.
pub(super) fn run(context: &Context, job: &DrillJob) -> Option<Outcome> {
    let id = job.id;
    log::info!("drill of backup {id} begins");
    let started = Instant::now();
    let cancel = context.cancel.child();
    match context.catalog.begin_drill(id, cancel.clone()).wait() {
        Ok(true) => {}
        Ok(false) => {
            log::info!("drill of backup {id}: the backup is being deleted");
            return None;
        }
        Err(error) => {
            // It stays claimed, and is made after the next start.
            log::error!("drill of backup {id}: {}", with_causes(&error));
            return None;
        }
    }
    failpoint::at("drill-begins");
    let result = guarded(|| {
        let chain = chain::open_for_job(&*context.storage, &job.chain, &cancel)?;
        let how = DrillPlan {
            within: context.local.scratch()?,
            headroom: context.settings.headroom_bytes,
            source: job.source.as_ref(),
            workers: context.settings.compression_threads,
            limit: context.settings.drill_limit,
            cancel: &cancel,
        };
        drill(&chain, &how, &|_done, _total| ())
    });
    let result = result.map_err(|error| cancelled_or(error, &cancel));
    failpoint::at("drill-before-settle");
    Some(Outcome::Drill { id, took: started.elapsed(), result })
}
