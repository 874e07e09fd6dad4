//! Commands about backups and instances: they ask the server, and read the catalog where none runs.

mod alert;
mod connect;
mod consolidate;
mod create;
mod delete;
mod events;
mod fleet;
mod healthcheck;
mod list;
mod origin;
mod pin;
mod retention;
mod schedule;
mod schedule_set;
mod selector;
mod show;
mod status;
mod table;

pub(super) use alert::{AlertArgs, run as alert};
pub(super) use consolidate::{ConsolidateArgs, run as consolidate};
pub(super) use create::{BackupArgs, run as create};
pub(super) use delete::{DeleteArgs, run as delete};
pub(super) use events::{EventsArgs, run as events};
pub(super) use fleet::{FleetArgs, run as fleet};
pub(super) use healthcheck::{HealthcheckArgs, run as healthcheck};
pub(super) use list::{ListArgs, run as list};
pub(super) use pin::{pin, unpin};
pub(super) use retention::{RetentionArgs, run as retention, show as show_retention};
pub(super) use schedule::{ScheduleArgs, run as schedule};
pub(super) use selector::{Candidate, Selector};
pub(super) use show::run as show;
pub(super) use status::{StatusArgs, run as status, show as show_health};
pub(super) use table::print as print_table;
