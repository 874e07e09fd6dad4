//! Times, medians, and the table.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Outcome;

/// Seconds as a number.
pub(crate) fn seconds(taken: Duration) -> f64 {
    taken.as_secs_f64()
}

/// Waits until the disk has nothing left to write.
pub(crate) fn settle() -> Outcome<()> {
    peer("sync", &[]).map(drop)
}

/// Runs a peer to its end; seconds of wall clock.
pub(crate) fn peer(program: &str, arguments: &[&str]) -> Outcome<f64> {
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{program} {arguments:?}: {status}").into());
    }
    Ok(seconds(started.elapsed()))
}

/// Figures by row, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    order: Vec<String>,
    figures: BTreeMap<String, Vec<f64>>,
}

impl Rows {
    /// Adds one figure to a row.
    pub(crate) fn put(&mut self, row: &str, figure: f64) {
        if !self.figures.contains_key(row) {
            self.order.push(row.to_owned());
        }
        self.figures.entry(row.to_owned()).or_default().push(figure);
    }

    fn sorted(&self, row: &str) -> Vec<f64> {
        let mut figures = self.figures.get(row).cloned().unwrap_or_default();
        figures.sort_by(f64::total_cmp);
        figures
    }

    /// The middle figure of a row; not a number for a row that is not there.
    pub(crate) fn median(&self, row: &str) -> f64 {
        let figures = self.sorted(row);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// One row over the sum of others: the median of the ratios round by round, so that a machine that
    /// drifts from round to round does not matter.
    pub(crate) fn ratio(&self, over: &str, under: &[&str]) -> f64 {
        let of_round = |row: &str, round: usize| {
            self.figures.get(row).and_then(|figures| figures.get(round)).copied()
        };
        let mut ratios = Vec::new();
        while let Some(figure) = of_round(over, ratios.len()) {
            let base: f64 =
                under.iter().map(|row| of_round(row, ratios.len()).unwrap_or(f64::NAN)).sum();
            ratios.push(figure / base);
        }
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<48} {:>9} {:>9} {:>9} {:>3}",
            "row (s unless said)", "median", "min", "max", "n"
        )?;
        for row in &self.order {
            let figures = self.sorted(row);
            let (least, most) = (figures.first(), figures.last());
            let (least, most) =
                (least.copied().unwrap_or(f64::NAN), most.copied().unwrap_or(f64::NAN));
            writeln!(
                out,
                "{row:<48} {:>9.3} {least:>9.3} {most:>9.3} {:>3}",
                self.median(row),
                figures.len()
            )?;
        }
        Ok(())
    }
}
