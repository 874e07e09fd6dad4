//! The tables: medians, ranges and ratios, as Markdown.

use std::fmt::Write as _;

use super::measure::Cost;

/// Costs by row and tool, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(String, &'static str, Vec<Cost>)>);

/// Who fsyncs and who encrypts, for the last column.
pub(crate) type Notes<'a> = &'a dyn Fn(&str) -> &'static str;

/// The middle of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `median (least–most)`.
pub(crate) fn range(figures: &[f64], digits: usize) -> String {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.digits$} ({least:.digits$}–{most:.digits$})", median(figures))
}

fn of(costs: &[Cost], what: fn(&Cost) -> f64) -> Vec<f64> {
    costs.iter().map(what).collect()
}

impl Table {
    /// Adds one round's cost.
    pub(crate) fn put(&mut self, row: &str, tool: &'static str, cost: Cost) {
        match self.0.iter_mut().find(|(known, by, _)| known == row && *by == tool) {
            Some((_, _, costs)) => costs.push(cost),
            None => self.0.push((row.to_owned(), tool, vec![cost])),
        }
    }

    /// How many times as much a tool takes as Coffer in the same row: the median of the rounds' ratios,
    /// so that a machine that drifts from round to round does not matter.
    fn ratio(&self, row: &str, costs: &[Cost], what: fn(&Cost) -> f64) -> String {
        let ours = self.0.iter().find(|(known, by, _)| known == row && *by == "coffer");
        let Some((_, _, ours)) = ours else { return "–".to_owned() };
        let ratios: Vec<f64> =
            costs.iter().zip(ours).map(|(it, our)| what(it) / what(our).max(1e-4)).collect();
        let ratio = median(&ratios);
        if ratio.is_finite() && ratio > 0.0 { format!("{ratio:.2}") } else { "–".to_owned() }
    }

    /// As Markdown.
    pub(crate) fn markdown(&self, notes: Notes<'_>) -> String {
        let mut text = String::from(
            "| row | tool | wall s: median (min–max) | CPU s | peak RSS MiB | stored MiB | wall ÷ coffer | stored ÷ coffer | fsync, encryption | n |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        let mut rows: Vec<&str> = Vec::new();
        for (row, ..) in &self.0 {
            if !rows.contains(&row.as_str()) {
                rows.push(row);
            }
        }
        for row in rows {
            for (_, tool, costs) in self.0.iter().filter(|(it, ..)| it == row) {
                writeln!(
                    text,
                    "| {row} | {tool} | {} | {:.2} | {:.0} | {:.2} | {} | {} | {} | {} |",
                    range(&of(costs, |it| it.wall_s), 3),
                    median(&of(costs, |it| it.cpu_s)),
                    of(costs, |it| it.rss_mib).into_iter().fold(0.0, f64::max),
                    median(&of(costs, |it| it.stored_mib)),
                    self.ratio(row, costs, |it| it.wall_s),
                    self.ratio(row, costs, |it| it.stored_mib),
                    notes(tool),
                    costs.len(),
                )
                .ok();
            }
        }
        text
    }
}

/// A table of plain figures: name, median and range, unit.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<(String, &'static str, Vec<f64>)>);

impl Figures {
    /// Adds one figure.
    pub(crate) fn put(&mut self, row: &str, unit: &'static str, figure: f64) {
        match self.0.iter_mut().find(|(known, ..)| known == row) {
            Some((.., figures)) => figures.push(figure),
            None => self.0.push((row.to_owned(), unit, vec![figure])),
        }
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("| row | median (min–max) | unit | n |\n|---|---|---|---|\n");
        for (row, unit, figures) in &self.0 {
            let digits = if median(figures) < 10.0 { 3 } else { 1 };
            writeln!(text, "| {row} | {} | {unit} | {} |", range(figures, digits), figures.len())
                .ok();
        }
        text
    }
}
