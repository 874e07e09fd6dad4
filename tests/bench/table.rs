//! The tables: medians, ranges and ratios, as Markdown.

use std::fmt::Write as _;

use super::measure::Cost;
use super::options::COFFER;

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) costs: Table<Cost>,
    pub(crate) figures: Figures,
}

impl Results {
    /// Adds what one tool took in one round for a row.
    pub(crate) fn cost(&mut self, row: &str, by: &'static str, cost: Cost) {
        self.costs.add(row, by, cost);
    }

    /// Adds a figure of one round. `by` is a tool, or whatever the figure is of.
    pub(crate) fn figure(&mut self, row: &str, by: &'static str, unit: &'static str, figure: f64) {
        if !self.figures.units.iter().any(|(known, _)| known == row) {
            self.figures.units.push((row.to_owned(), unit));
        }
        self.figures.table.add(row, by, figure);
    }
}

/// Series of measurements by row and tool, in order of first appearance.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<(String, &'static str, Vec<T>)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    fn add(&mut self, row: &str, by: &'static str, value: T) {
        match self.0.iter_mut().find(|(known, tool, _)| known == row && *tool == by) {
            Some((_, _, values)) => values.push(value),
            None => self.0.push((row.to_owned(), by, vec![value])),
        }
    }

    /// What one tool took for a row, round by round.
    pub(crate) fn series(&self, row: &str, by: &str) -> Option<&[T]> {
        let found = self.0.iter().find(|(known, tool, _)| known == row && *tool == by);
        found.map(|(_, _, values)| values.as_slice())
    }

    /// The names of all rows.
    pub(crate) fn rows(&self) -> Vec<&str> {
        let mut rows: Vec<&str> = Vec::new();
        for (row, ..) in &self.0 {
            if !rows.contains(&row.as_str()) {
                rows.push(row);
            }
        }
        rows
    }

    /// Every series, those of one row together.
    fn by_row(&self) -> impl Iterator<Item = &(String, &'static str, Vec<T>)> {
        let rows = self.rows().into_iter();
        rows.flat_map(move |row| self.0.iter().filter(move |(it, ..)| it == row))
    }
}

/// The middle of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `median (least–most)`.
pub(crate) fn range(figures: &[f64]) -> String {
    let middle = median(figures);
    let digits = if middle < 10.0 { 3 } else { 1 };
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{middle:.digits$} ({least:.digits$}–{most:.digits$})")
}

/// One figure of each cost.
pub(crate) fn each(costs: &[Cost], figure: fn(&Cost) -> f64) -> Vec<f64> {
    costs.iter().map(figure).collect()
}

impl Table<Cost> {
    /// How many times as much a tool takes as Coffer in the same row: the median of the rounds' ratios,
    /// so that a machine that drifts from round to round does not matter.
    fn ratio(&self, row: &str, costs: &[Cost], figure: fn(&Cost) -> f64) -> String {
        let Some(coffer) = self.series(row, COFFER) else { return "–".to_owned() };
        let ratios: Vec<f64> = costs
            .iter()
            .zip(coffer)
            .map(|(it, ours)| figure(it) / figure(ours).max(1e-4))
            .collect();
        let ratio = median(&ratios);
        if ratio.is_finite() && ratio > 0.0 { format!("{ratio:.2}") } else { "–".to_owned() }
    }

    /// As Markdown. `notes` says of a tool whether it syncs and encrypts.
    pub(crate) fn markdown(&self, notes: fn(&str) -> &'static str) -> String {
        let mut text = String::from(
            "| row | tool | wall s: median (min–max) | CPU s | peak RSS MiB | stored MiB | wall ÷ coffer | stored ÷ coffer | fsync, encryption | n |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for (row, tool, costs) in self.by_row() {
            writeln!(
                text,
                "| {row} | {tool} | {} | {:.2} | {:.0} | {:.2} | {} | {} | {} | {} |",
                range(&each(costs, |it| it.wall_s)),
                median(&each(costs, |it| it.cpu_s)),
                each(costs, |it| it.rss_mib).into_iter().fold(0.0, f64::max),
                median(&each(costs, |it| it.stored_mib)),
                self.ratio(row, costs, |it| it.wall_s),
                self.ratio(row, costs, |it| it.stored_mib),
                notes(tool),
                costs.len(),
            )
            .ok();
        }
        text
    }
}

/// A table of single figures, each row with its unit.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) table: Table<f64>,
    units: Vec<(String, &'static str)>,
}

impl Figures {
    /// The unit of a row.
    pub(crate) fn unit(&self, row: &str) -> &'static str {
        self.units.iter().find(|(known, _)| known == row).map_or("", |(_, unit)| unit)
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text =
            String::from("| row | of | median (min–max) | unit | n |\n|---|---|---|---|---|\n");
        for (row, by, figures) in self.table.by_row() {
            let (range, unit, n) = (range(figures), self.unit(row), figures.len());
            writeln!(text, "| {row} | {by} | {range} | {unit} | {n} |").ok();
        }
        text
    }
}
