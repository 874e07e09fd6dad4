//! The families of series: their names, what they mean, and their values for each instance.

use std::fmt::Write as _;

use actix_web::web::Bytes;

use crate::catalog::InstanceReport;
use crate::domain::{CopyState, PlaceCopies, Timestamp};

const PLACE_PROVEN: &str = "coffer_place_last_proof_timestamp_seconds";

/// Text of the exposition.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn family(&mut self, name: &str, kind: &str, meaning: &str) {
        writeln!(self.0, "# HELP {name} {meaning}\n# TYPE {name} {kind}")
            .expect("writing to a String cannot fail");
    }

    pub(super) fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        let mut separator = '{';
        for (label, text) in labels {
            self.0.push(separator);
            self.0.push_str(label);
            self.0.push_str("=\"");
            escape(&mut self.0, text);
            self.0.push('"');
            separator = ',';
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{end} {value}").expect("writing to a String cannot fail");
    }

    /// What is wrong with the server as a whole, and then with each instance.
    pub(super) fn problems<'a>(
        &mut self,
        of_server: impl Iterator<Item = [&'a str; 2]>,
        instances: &[InstanceReport],
    ) {
        const NAME: &str = "coffer_problem";
        self.family(NAME, "gauge", "1 for each thing that is wrong, as in coffer status.");
        for problem in of_server {
            self.line(NAME, &labels_of(problem), 1);
        }
        for InstanceReport { instance, health } in instances {
            let id = instance.id.to_string();
            let names = [
                ("project", instance.project.as_str()),
                ("name", instance.name.as_str()),
                ("id", id.as_str()),
            ];
            for problem in &health.problems {
                let kind = [problem.kind.as_str(), problem.kind.severity().as_str()];
                self.line(NAME, &[names.as_slice(), &labels_of(kind)].concat(), 1);
            }
        }
    }

    /// What each place for copies holds, and is to hold.
    pub(super) fn places(&mut self, places: &[PlaceCopies]) {
        if places.is_empty() {
            return;
        }
        self.family("coffer_place_copies", "gauge", "Copies of a place, by their state.");
        for it in places {
            for (state, count) in [
                (CopyState::Waiting, it.waiting),
                (CopyState::Copying, it.copying),
                (CopyState::Failed, it.failed),
                (CopyState::Proven, it.proven),
            ] {
                let labels = [("place", it.place.as_str()), ("state", state.as_str())];
                self.line("coffer_place_copies", &labels, count);
            }
        }
        self.family("coffer_place_bytes", "gauge", "What the proven copies of a place take.");
        for it in places {
            self.line("coffer_place_bytes", &[("place", &it.place)], it.bytes);
        }
        self.family("coffer_place_usable", "gauge", "Whether the place could be used last.");
        for it in places {
            let usable = u64::from(it.trouble.is_none());
            self.line("coffer_place_usable", &[("place", &it.place)], usable);
        }
        self.family(PLACE_PROVEN, "gauge", "When a copy was proven in the place last.");
        for it in places {
            if let Some(at) = it.last_proven.and_then(seconds) {
                self.line(PLACE_PROVEN, &[("place", &it.place)], at);
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

/// The labels of a problem of this kind and severity.
const fn labels_of([kind, severity]: [&str; 2]) -> [(&str, &str); 2] {
    [("kind", kind), ("severity", severity)]
}

/// A label's value, in which these three have to be escaped.
fn escape(out: &mut String, text: &str) {
    for it in text.chars() {
        match it {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            it => out.push(it),
        }
    }
}

/// What is shown of one instance.
#[derive(Debug)]
pub(super) struct InstanceSeries {
    project: String,
    name: String,
    id: String,
    values: [Option<u64>; OF_INSTANCES.len()],
}

/// A family with a value for each instance.
pub(super) struct Family {
    name: &'static str,
    meaning: &'static str,
    value: fn(&InstanceReport) -> Option<u64>,
}

const fn family(
    name: &'static str,
    meaning: &'static str,
    value: fn(&InstanceReport) -> Option<u64>,
) -> Family {
    Family { name, meaning, value }
}

fn seconds(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_micros() / 1_000_000).ok()
}

/// Every family of instances, in the order in which they are shown.
pub(super) const OF_INSTANCES: [Family; 16] = [
    family("coffer_instance_safe", "Whether there is a good backup and nothing is wrong.", |it| {
        Some(u64::from(it.health.is_safe()))
    }),
    family("coffer_instance_configured", "Whether the configuration names the instance.", |it| {
        Some(u64::from(it.health.facts.configured))
    }),
    family(
        "coffer_backup_last_success_timestamp_seconds",
        "When the newest backup that can be restored was asked for.",
        |it| seconds(it.health.facts.last_good?.created),
    ),
    family("coffer_backup_last_success_age_seconds", "How long ago that was.", |it| {
        Some(it.health.age?.as_secs())
    }),
    family(
        "coffer_backup_last_proof_timestamp_seconds",
        "When that backup was proven last.",
        |it| seconds(it.health.facts.last_good?.verified_at),
    ),
    family("coffer_backup_last_duration_seconds", "How long it took to make.", |it| {
        Some(it.health.facts.last_good?.took?.as_secs())
    }),
    family("coffer_backup_last_stored_bytes", "What its archive takes.", |it| {
        Some(it.health.facts.last_good?.stored_bytes)
    }),
    family("coffer_backup_last_source_bytes", "What it restores to.", |it| {
        Some(it.health.facts.last_good?.source_bytes)
    }),
    family(
        "coffer_backup_next_run_timestamp_seconds",
        "When the next backup begins by the schedule.",
        |it| seconds(it.health.next_run?),
    ),
    family("coffer_backup_running", "Whether a backup waits or runs.", |it| {
        Some(u64::from(it.health.facts.running.is_some()))
    }),
    family("coffer_drill_last_success_timestamp_seconds", "When a drill passed last.", |it| {
        seconds(it.health.facts.passed_drills.first()?.ended)
    }),
    family(
        "coffer_drill_restore_seconds",
        "How long the restore in that drill took, with its check.",
        |it| Some(it.health.facts.passed_drills.first()?.took.as_secs()),
    ),
    family("coffer_restore_points", "How many backups can be restored.", |it| {
        Some(it.health.facts.restore_points)
    }),
    family(
        "coffer_bad_backups",
        "How many backups are damaged or missing, of the newest hundred of those.",
        |it| u64::try_from(it.health.facts.bad.len()).ok(),
    ),
    family(
        "coffer_copies_missing",
        "Copies of its backups that are not in their places yet.",
        |it| {
            let missing = it.health.facts.copies.iter().map(|it| it.missing);
            (!it.health.facts.copies.is_empty()).then(|| missing.fold(0, u64::saturating_add))
        },
    ),
    family("coffer_stored_bytes", "What the archives of the instance take.", |it| {
        Some(it.health.facts.stored_bytes)
    }),
];

impl From<InstanceReport> for InstanceSeries {
    fn from(it: InstanceReport) -> Self {
        Self {
            values: OF_INSTANCES.map(|family| (family.value)(&it)),
            project: it.instance.project.to_string(),
            name: it.instance.name,
            id: it.instance.id.to_string(),
        }
    }
}

impl Family {
    /// The text of the family, which is the one in this place; empty if no instance has a value.
    pub(super) fn text(&self, place: usize, instances: &[InstanceSeries]) -> Text {
        let mut text = Text::default();
        for it in instances {
            let Some(value) = it.values.get(place).copied().flatten() else { continue };
            if text.is_empty() {
                text.family(self.name, "gauge", self.meaning);
            }
            let labels =
                [("project", it.project.as_str()), ("name", &it.name), ("id", it.id.as_str())];
            text.line(self.name, &labels, value);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_label_or_its_line() {
        let mut text = Text::default();
        text.line("coffer_x", &[("name", "a\"} 1\ncoffer_y{b=\"\\")], 7);
        assert_eq!(text.0, "coffer_x{name=\"a\\\"} 1\\ncoffer_y{b=\\\"\\\\\"} 7\n");
        let mut text = Text::default();
        text.line("coffer_x", &[], 7);
        assert_eq!(text.0, "coffer_x 7\n");
    }
}
