//! The places that copies go to: whether each can be reached and written, and keeps strangers out.

use std::sync::Arc;

use crate::config::Config;
use crate::server;
use crate::storage::Observation;

use super::finding::Findings;

pub(super) fn places(config: &Config, findings: &mut Findings) {
    for place in &config.places {
        let check = format!("place {}", place.name);
        let tried = server::places::open(place, config, &Arc::default());
        let tried = tried.and_then(|place| place.try_out());
        match tried {
            Ok(found) => {
                for it in found {
                    add(&check, it, findings);
                }
            }
            Err(error) => {
                let advice = "backups are made all the same; copies wait until this is mended";
                findings.problem(&check, error.to_string(), advice);
            }
        }
    }
}

fn add(check: &str, found: Observation, findings: &mut Findings) {
    match found {
        Observation::Good(text) => findings.ok(check, text),
        Observation::Warning(text, advice) => findings.warning(check, text, advice),
        Observation::Problem(text, advice) => findings.problem(check, text, advice),
    }
}
