//! The table "Before and after": two binaries of Coffer that ran in the same rounds.

use std::fmt::Write as _;

use super::measure::Cost;
use super::options::{BEFORE, COFFER};
use super::table::{Results, each, median, range};

/// The figures of a cost, by the end of a row's name and their unit.
type Figure = (&'static str, &'static str, fn(&Cost) -> f64);

const WALL: Figure = ("wall", "s", |it| it.wall_s);

const OTHERS: [Figure; 3] = [
    ("CPU", "s", |it| it.cpu_s),
    ("peak RSS", "MiB", |it| it.rss_mib),
    ("stored", "MiB", |it| it.stored_mib),
];

const HEAD: &str = "| row | before: median (min–max) | now: median (min–max) | now ÷ before (min–max) | unit | n |\n\
                    |---|---|---|---|---|---|\n";

/// All rows that both binaries have, as Markdown.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = format!(
        "## Before and after\n\n\
         Both binaries ran in the same rounds, in turns. The ratio is the median of the rounds' ratios, with the \
         least and the most of them: what differs by less than that spread is noise. Below 1 is better, but for \
         requests/s, commits and shares, where above 1 is.\n\n### Time\n\n{HEAD}"
    );
    costs(results, WALL, &mut text);
    text.push_str("\n### API, footprint, large sources\n\n");
    text.push_str(HEAD);
    let figures = &results.figures;
    for row in figures.table.rows() {
        let series = (figures.table.series(row, BEFORE), figures.table.series(row, COFFER));
        if let (Some(before), Some(now)) = series {
            line(row, figures.unit(row), before, now, &mut text);
        }
    }
    text.push_str("\n### CPU, memory, size\n\n");
    text.push_str(HEAD);
    for figure in OTHERS {
        costs(results, figure, &mut text);
    }
    text
}

fn costs(results: &Results, (name, unit, figure): Figure, text: &mut String) {
    for row in results.costs.rows() {
        let series = (results.costs.series(row, BEFORE), results.costs.series(row, COFFER));
        let (Some(before), Some(now)) = series else { continue };
        let (before, now) = (each(before, figure), each(now, figure));
        if median(&before) > 0.0 {
            line(&format!("{row}: {name}"), unit, &before, &now, text);
        }
    }
}

fn line(row: &str, unit: &str, before: &[f64], now: &[f64], text: &mut String) {
    let ratios: Vec<f64> = now
        .iter()
        .zip(before)
        .map(|(now, before)| now / before)
        .filter(|it| it.is_finite())
        .collect();
    let ratio = if ratios.is_empty() { "–".to_owned() } else { range(&ratios) };
    let (n, before, now) = (ratios.len(), range(before), range(now));
    writeln!(text, "| {row} | {before} | {now} | {ratio} | {unit} | {n} |").ok();
}
