//! Tests of whole archives: writing, reading, restoring, and damage.

mod damage;
mod fixture;
mod hostile;
mod incremental;
mod index_blocks;
mod order;
mod other_programs;
mod round_trip;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The configuration for property tests: so many cases, and failures kept below `tests/`.
pub(super) fn proptest_config(cases: u32) -> ProptestConfig {
    let kept = FileFailurePersistence::SourceParallel("tests/proptest-regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}
