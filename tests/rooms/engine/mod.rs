//! Engines. Each runs the suite in `conformance`, and tests what it promises besides.

mod conformance;
mod directory;
mod mariadb;
mod postgresql;
mod redis;
mod sqlite;

use coffer::engine::{
    DrillOrder, DumpFacts, DumpOrder, Engine, EngineError, Intake, Load, LoadOrder, NeedsContent,
    Owners, Placed, Stop, Target, printable,
};
