//! The last lines of what a program says, however much that is.

use std::collections::VecDeque;
use std::io::Read;
use std::thread::JoinHandle;

use super::Secret;

/// How much is kept while it runs.
const KEPT: usize = 16 << 10;
/// How much of a line is kept: a program that dumps a damaged page shows tens of kilobytes in one.
const KEPT_OF_LINE: usize = 1024;
/// How many lines of it a message shows.
const SHOWN: usize = 8;
/// How long such a line may be.
const LONGEST_LINE: usize = 400;

/// Reads a program's standard error to its end.
#[derive(Debug)]
pub(super) struct Tail(JoinHandle<Vec<u8>>);

impl Tail {
    /// Begins to read, on a thread of its own: a program that is not listened to stops.
    pub(super) fn follow(mut from: impl Read + Send + 'static) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name("tool-messages".to_owned());
        thread
            .spawn(move || {
                let mut kept = VecDeque::with_capacity(KEPT);
                let mut piece = [0_u8; 4096];
                let mut in_line = 0_usize;
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    let mut new = piece.get(..length).unwrap_or_default().to_vec();
                    new.retain(|byte| {
                        in_line = if *byte == b'\n' { 0 } else { in_line.saturating_add(1) };
                        in_line <= KEPT_OF_LINE
                    });
                    let over = (kept.len() + new.len()).saturating_sub(KEPT);
                    kept.drain(..over.min(kept.len()));
                    kept.extend(new);
                }
                kept.into()
            })
            .map(Self)
    }

    /// What it said last, once every holder of the other end is gone.
    pub(super) fn end(self) -> Vec<u8> {
        self.0.join().unwrap_or_default()
    }
}

/// The last lines of `said` for a message: without secrets and control characters.
pub(super) fn last_lines(said: &[u8], secrets: &[Secret]) -> String {
    let text = String::from_utf8_lossy(said).into_owned();
    let text = secrets.iter().fold(text, |text, secret| secret.conceal(&text));
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.trim_end().chars().filter(|it| !it.is_control()).collect::<String>())
        .filter(|line| !line.is_empty())
        .map(|line| line.chars().take(LONGEST_LINE).collect())
        .collect();
    let first = lines.len().saturating_sub(SHOWN);
    lines.get(first..).unwrap_or_default().join("\n")
}
