//! Whole archives: written, read, restored, damaged.

mod consolidated;
mod damage;
mod encrypted;
mod fixture;
mod forge;
mod hostile;
mod incremental;
mod index_blocks;
mod order;
mod other_programs;
mod outline;
mod round_trip;
mod unindexed;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The configuration of property tests: the number of cases, and the file that keeps those that failed.
fn proptest_config(cases: u32, failures: &'static str) -> ProptestConfig {
    let kept = FileFailurePersistence::Direct(failures);
    ProptestConfig { cases, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}
