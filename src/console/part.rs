//! A part of a long list, with the ways to the others.

use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::asked::Asked;
use super::show::counted;

/// Rows of a list that are on a page.
const ROWS: usize = 50;

#[derive(Debug)]
pub(super) struct Part<'a, T> {
    pub(super) rows: &'a [T],
    /// How many rows come before.
    pub(super) before: usize,
    /// The name of the field of the query that says which part is shown.
    name: &'static str,
    page: usize,
    last: usize,
    count: usize,
}

impl<'a, T> Part<'a, T> {
    /// The part that is asked for: the first one if none is.
    pub(super) fn of(asked: &Asked, name: &'static str, all: &'a [T]) -> Self {
        let last = all.len().div_ceil(ROWS).max(1);
        let page = asked.query.number(name).unwrap_or(1_usize).clamp(1, last);
        let before = page.saturating_sub(1).saturating_mul(ROWS);
        let rows = all.get(before..).unwrap_or_default();
        let rows = rows.get(..ROWS).unwrap_or(rows);
        Self { rows, before, name, page, last, count: all.len() }
    }

    /// Links to the parts before and after, below `path` and at its section `section`; what else is asked for stays.
    pub(super) fn links(&self, asked: &Asked, (path, section): (&str, &str), noun: &str) -> Markup {
        let url_of = |page: usize| {
            let kept = asked.query.pairs().filter(|(name, _)| *name != self.name);
            let query = Serializer::new(String::new())
                .extend_pairs(kept)
                .append_pair(self.name, &page.to_string())
                .finish();
            format!("{path}?{query}#{section}")
        };
        html! {
            @if self.last > 1 {
                nav.pages aria-label={ "Pages of " (noun) "s" } {
                    @if self.page > 1 { a rel="prev" href=(url_of(self.page.saturating_sub(1))) { "Previous" } }
                    span { "Page " (self.page) " of " (self.last) ", " (counted(self.count, noun)) }
                    @if self.page < self.last { a rel="next" href=(url_of(self.page.saturating_add(1))) { "Next" } }
                }
            }
        }
    }
}
