//! What is wrong with an instance: each rule once.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::{
    CompletedBackup, DrillRun, FailureCode, InstanceId, Timestamp, Verdict, Verify, shell_word,
    words,
};
use crate::policy::{Problem, ProblemKind, Severity, Span, Timetable};

use super::copies;
use super::facts::HealthFacts;
use super::history::{Trend, fallen_tables, trend, usual_duration, usual_size};
use super::limits::HealthLimits;

/// Smaller databases say little by their size.
const SMALLEST: u64 = 1 << 20;

/// A backup that takes so much longer than usual is not slow yet, however short the usual is.
const SHORTEST_DELAY: Duration = Duration::from_secs(10 * 60);

/// How long the drill of a new backup may wait for its turn and take.
const DRILL_GRACE: Duration = Duration::from_secs(24 * 3600);

/// How many names a sentence lists.
const LISTED: usize = 3;

words! {
    /// Whether an instance is safe, the worst last.
    pub enum SafetyState {
        /// There is a good backup, and nothing is wrong.
        Safe = "safe",
        /// There is no good backup, and none is expected by now.
        NotBackedUp = "not_backed_up",
        /// Something is wrong; nothing is lost yet.
        Warning = "warning",
        /// There is no good backup, or there will be none soon.
        Critical = "critical",
    }
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceHealth {
    pub state: SafetyState,
    /// What is wrong, the worst first.
    pub problems: Vec<Problem>,
    pub next_run: Option<Timestamp>,
    /// How long ago the newest good backup was asked for.
    pub age: Option<Duration>,
    pub trend: Option<Trend>,
    pub facts: HealthFacts,
}

impl InstanceHealth {
    /// Whether there is a good backup, and nothing is wrong.
    pub fn is_safe(&self) -> bool {
        self.state == SafetyState::Safe
    }
}

/// What is known of an instance, and what is expected of it.
#[derive(Debug, Clone, Copy)]
struct Rules<'a> {
    facts: &'a HealthFacts,
    timetable: Option<&'a Timetable>,
    limits: &'a HealthLimits,
    now: Timestamp,
}

/// How an instance is, by what is known of it.
pub fn examine(
    facts: HealthFacts,
    timetable: Option<&Timetable>,
    limits: &HealthLimits,
    now: Timestamp,
) -> InstanceHealth {
    let rules = Rules { facts: &facts, timetable, limits, now };
    let problems = rules.problems();
    let state = match problems.first() {
        Some(worst) => worst.kind.severity().into(),
        None if facts.last_good.is_none() => SafetyState::NotBackedUp,
        None if facts.configured && copies::is_without(&facts, now) => SafetyState::Warning,
        None => SafetyState::Safe,
    };
    let age = facts.last_good.as_ref().map(|it| it.created.until(now));
    InstanceHealth { state, problems, next_run: None, age, trend: trend(&facts.completed), facts }
}

impl From<Severity> for SafetyState {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

impl Rules<'_> {
    fn problems(&self) -> Vec<Problem> {
        let out_of_reach = copies::out_of_reach(self.facts, self.now);
        let mut found: Vec<Problem> = self.damaged().into_iter().chain(out_of_reach).collect();
        if self.facts.configured {
            let failed = self.failed();
            let missed = self.missed();
            let none = self.no_backup().filter(|_| failed.is_none() && missed.is_none());
            found.extend(failed.into_iter().chain(missed).chain(none).chain(self.cannot_start()));
            let newest = [self.smaller(), self.slower(), self.left_out()];
            let proofs = [self.proof_old(), self.rows_fell()];
            found.extend(newest.into_iter().chain(proofs).flatten());
            found.extend(self.facts.staging.clone());
            found.extend(copies::problems(self.facts, self.limits, self.now));
        }
        found.sort_by_key(|it| std::cmp::Reverse(it.kind.severity()));
        found
    }

    fn problem(
        &self,
        kind: ProblemKind,
        since: Timestamp,
        message: String,
        advice: impl Into<String>,
    ) -> Problem {
        let instance: Option<InstanceId> = Some(self.facts.instance);
        Problem { kind, instance, since, message, advice: advice.into() }
    }

    fn newest(&self) -> Option<&CompletedBackup> {
        self.facts.completed.first()
    }

    /// The newest attempt failed. One that was interrupted is made again by the schedule.
    fn failed(&self) -> Option<Problem> {
        let it = self.facts.failed.as_ref()?;
        let is_made_again = it.failure.code == FailureCode::Interrupted
            && self.timetable.is_some_and(|table| table.retries > 0);
        if is_made_again && self.now <= it.ended.plus(self.limits.grace.duration()) {
            return None;
        }
        let name = &self.facts.name;
        let since = match &self.facts.last_good {
            Some(good) => format!("the newest good one is of {} UTC", good.created.to_wire()),
            None => "there is no good one".to_owned(),
        };
        Some(self.problem(
            ProblemKind::Failed,
            it.since,
            format!("the newest backup of {name} failed, {since}: {}", it.failure.message),
            format!(
                "remove the cause, then make a backup: coffer backup {} --wait",
                shell_word(name)
            ),
        ))
    }

    /// Nothing was begun when it was due, or the newest good backup is older than it may be.
    fn missed(&self) -> Option<Problem> {
        let facts = self.facts;
        if facts.running.is_some() {
            return None;
        }
        let name = &facts.name;
        let good = facts.last_good.as_ref().map(|it| it.created);
        let failed = facts.failed.as_ref().map(|it| it.asked);
        let grace = self.limits.grace.duration();
        let due = self.timetable.zip(facts.scheduled_since).and_then(|(table, since)| {
            let attempt =
                [good, failed, facts.begun_until].into_iter().flatten().fold(since, Timestamp::max);
            table.overdue_by(facts.instance, attempt, grace, self.now)
        });
        if let Some(due) = due {
            return Some(self.problem(
                ProblemKind::Missed,
                due,
                format!("a backup of {name} was due at {} UTC, and none was made", due.to_wire()),
                format!(
                    "see whether the server runs and what it says (coffer status, its log), then make a backup: coffer \
                     backup {} --wait",
                    shell_word(name)
                ),
            ));
        }
        let (good, most) = (good?, self.limits.max_age?);
        let since = good.plus(most.duration());
        (since < self.now).then(|| {
            self.problem(
                ProblemKind::Missed,
                since,
                format!(
                    "the newest good backup of {name} is of {} UTC, which is longer ago than max_age ({most})",
                    good.to_wire()
                ),
                format!("make a backup: coffer backup {} --wait", shell_word(name)),
            )
        })
    }

    /// None is good, although there were some, or there should be one by now.
    fn no_backup(&self) -> Option<Problem> {
        let facts = self.facts;
        if facts.last_good.is_some() || facts.running.is_some() {
            return None;
        }
        let late = self.limits.max_age.map(|most| facts.first_seen.plus(most.duration()));
        let late = late.filter(|since| *since < self.now);
        let lost = facts.bad.first().map(|it| it.found);
        let since = late.into_iter().chain(lost).min()?;
        let name = &facts.name;
        Some(self.problem(
            ProblemKind::NoBackup,
            since,
            format!("there is no backup of {name} that can be restored"),
            format!("make one: coffer backup {} --wait", shell_word(name)),
        ))
    }

    fn cannot_start(&self) -> Option<Problem> {
        let (since, why) = self.facts.cannot_start.as_ref()?;
        let name = &self.facts.name;
        Some(self.problem(
            ProblemKind::CannotStart,
            *since,
            format!("{}{why}", cannot_begin(name)),
            "coffer doctor says what is missing",
        ))
    }

    fn damaged(&self) -> Option<Problem> {
        let bad = &self.facts.bad;
        let newest = bad.first()?;
        let since = bad.iter().map(|it| it.found).min().unwrap_or(newest.found);
        let name = &self.facts.name;
        let (count, id, word) = (bad.len(), newest.id, shell_word(name));
        let what = if count == 1 {
            format!("backup {id} of {name} is")
        } else {
            format!("{count} backups of {name} are")
        };
        Some(self.problem(
            ProblemKind::Damaged,
            since,
            format!("{what} damaged or missing, and what is built on it: {}", newest.failure.message),
            format!(
                "make a full backup now (coffer backup {word} --wait) and look at the disk; coffer verify {id} checks \
                 that one again, coffer restore {id} --to PATH --salvage saves what is left of it, and coffer delete {id} \
                 ends this"
            ),
        ))
    }

    fn smaller(&self) -> Option<Problem> {
        let (newest, usual) = (self.newest()?, usual_size(&self.facts.completed)?);
        let least = u128::from(usual) * u128::from(self.limits.smaller_percent);
        if usual < SMALLEST || u128::from(newest.source_bytes) * 100 >= least {
            return None;
        }
        let name = &self.facts.name;
        let word = shell_word(name);
        Some(self.problem(
            ProblemKind::Smaller,
            newest.created,
            format!(
                "the newest backup of {name} holds {} bytes, and {usual} were usual",
                newest.source_bytes
            ),
            format!(
                "see whether data is missing in the source; if so, an older backup has it: coffer list --instance {word}"
            ),
        ))
    }

    fn slower(&self) -> Option<Problem> {
        let newest = self.newest()?;
        let (took, (usual, stored)) = (newest.took?, usual_duration(&self.facts.completed)?);
        if self.limits.slower_times == 0 {
            return None;
        }
        // An archive that is so many times as large may take so many times as long.
        let larger = newest.stored_bytes.checked_div(stored).unwrap_or(1).max(1);
        let larger = u32::try_from(larger).unwrap_or(u32::MAX);
        let most = usual.saturating_mul(self.limits.slower_times).saturating_mul(larger);
        if took <= most || took <= usual.saturating_add(SHORTEST_DELAY) {
            return None;
        }
        let name = &self.facts.name;
        Some(self.problem(
            ProblemKind::Slower,
            newest.created,
            format!(
                "the newest backup of {name} took {} s, and {} s were usual",
                took.as_secs(),
                usual.as_secs()
            ),
            "see what else used the disk, the processor or the database at that time",
        ))
    }

    fn left_out(&self) -> Option<Problem> {
        let newest = self.newest()?;
        self.facts.completed.get(1)?;
        let (now, before) = &self.facts.left_out;
        let known: BTreeSet<&str> = before.iter().map(|it| it.what.as_str()).collect();
        let is_count = |what: &str| {
            what.strip_suffix(" more")
                .is_some_and(|count| count.bytes().all(|it| it.is_ascii_digit()))
        };
        let new: Vec<String> = now
            .iter()
            .filter(|it| !known.contains(it.what.as_str()) && !is_count(&it.what))
            .map(ToString::to_string)
            .collect();
        if new.is_empty() {
            return None;
        }
        let name = &self.facts.name;
        Some(self.problem(
            ProblemKind::LeftOut,
            newest.created,
            format!(
                "the newest backup of {name} leaves out what the one before did not: {}",
                first(&new)
            ),
            format!("coffer show {} lists all of it", newest.id),
        ))
    }

    /// The last drill that passed is too old, where drills are expected.
    fn proof_old(&self) -> Option<Problem> {
        let facts = self.facts;
        let good = facts.last_good.as_ref()?;
        let passed = facts.passed_drills.first().map(|it| it.ended);
        let scheduled =
            facts.drill_interval.map(|it| it.saturating_mul(2).saturating_add(DRILL_GRACE));
        let most = self.limits.proof_max_age.map(Span::duration).or(scheduled);
        let since = match most {
            Some(most) => {
                let oldest = facts.completed.last().map_or(good.created, |it| it.created);
                passed.unwrap_or_else(|| oldest.max(facts.first_seen)).plus(most)
            }
            // Each backup is to be drilled once it is there.
            None if facts.verify == Verify::Restore => {
                let waits = |it: &&CompletedBackup| passed.is_none_or(|passed| passed < it.created);
                facts.completed.iter().rfind(waits)?.created.plus(DRILL_GRACE)
            }
            None => return None,
        };
        if since >= self.now {
            return None;
        }
        let name = &facts.name;
        let last = match (passed, &facts.last_drill) {
            (_, Some(DrillRun { verdict: Verdict::Damaged(why), .. })) => {
                format!("the last drill found damage: {}", why.message)
            }
            (_, Some(DrillRun { verdict: Verdict::Inconclusive(why), .. })) => {
                format!("the last drill was inconclusive: {}", why.message)
            }
            (Some(passed), _) => {
                format!("the last drill that passed was at {} UTC", passed.to_wire())
            }
            (None, _) => "no drill has passed yet".to_owned(),
        };
        Some(self.problem(
            ProblemKind::ProofOld,
            since,
            format!("no backup of {name} was restored in a drill for too long; {last}"),
            format!("make a drill: coffer drill latest:{}", shell_word(name)),
        ))
    }

    fn rows_fell(&self) -> Option<Problem> {
        let [now, before, ..] = self.facts.passed_drills.as_slice() else { return None };
        let fallen = fallen_tables(&before.rows, &now.rows, self.limits.rows_percent);
        if fallen.is_empty() {
            return None;
        }
        let tables: Vec<String> = fallen
            .into_iter()
            .map(|(table, before, now)| format!("{table} from {before} to {now}"))
            .collect();
        let name = &self.facts.name;
        Some(self.problem(
            ProblemKind::RowsFell,
            now.ended,
            format!(
                "tables of {name} have far fewer rows than at the drill before: {}",
                first(&tables)
            ),
            format!(
                "see whether they were deleted on purpose; if not, backup {} has them",
                before.backup
            ),
        ))
    }
}

/// How the message begins that says why a backup cannot begin.
fn cannot_begin(name: &str) -> String {
    format!("a backup of {name} cannot begin: ")
}

/// Why a backup of the instance with this name cannot begin, by the message of the problem.
pub fn why_cannot_begin<'m>(name: &str, message: &'m str) -> &'m str {
    message.strip_prefix(&cannot_begin(name)).unwrap_or(message)
}

/// The first few of a list, and how many more there are.
fn first(all: &[String]) -> String {
    let listed = all.iter().take(LISTED).cloned().collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed}; and {more} more"),
    }
}
