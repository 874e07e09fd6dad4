//! Undo points: what restores in place replaced, and what is still kept of it.

use crate::cli::undo::{described, source_folders};
use crate::config::Config;
use crate::domain::shell_word;
use crate::undo::{self, Holds};

use super::finding::Findings;

const CHECK: &str = "undo points";

/// Names the undo points beside the sources, and what they take.
pub(super) fn undo_points(config: &Config, findings: &mut Findings) {
    for folder in source_folders(config) {
        // Whether a source can be read, the check of its instance says.
        let Ok((found, unreadable)) = undo::look(&folder) else { continue };
        for point in found {
            let text = described(&point);
            let path = shell_word(&point.target);
            if point.is_under_way || matches!(point.holds, Holds::Unfinished | Holds::Discarded) {
                let advice = format!(
                    "if no restore of it runs now, coffer restore undo {path} ends it or takes it back"
                );
                findings.warning(CHECK, text, advice);
            } else {
                findings.ok(CHECK, format!("{text}; coffer restore forget {path} removes it"));
            }
        }
        for error in unreadable {
            findings.warning(
                CHECK,
                error.to_string(),
                "look at it as the user that made the restore",
            );
        }
    }
}
