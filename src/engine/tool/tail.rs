//! The last lines of what a program says.

use std::collections::VecDeque;
use std::io::Read;
use std::thread::JoinHandle;

use super::Secret;

/// How many bytes are kept while the program runs.
const MAX_KEPT: usize = 16 << 10;
/// How many bytes of a line are kept: a tool that dumps a damaged page writes tens of kilobytes in one line.
const MAX_LINE_KEPT: usize = 1024;
/// How many lines a message shows, and how many characters of each.
const MAX_LINES: usize = 8;
const MAX_LINE: usize = 400;

/// Reads a program's standard error to its end, on a thread: a program whose pipe is full would stop.
#[derive(Debug)]
pub(super) struct StderrTail(JoinHandle<Vec<u8>>);

impl StderrTail {
    pub(super) fn collect(mut from: impl Read + Send + 'static) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name("tool-messages".to_owned());
        thread
            .spawn(move || {
                let mut kept = VecDeque::with_capacity(MAX_KEPT);
                let mut piece = [0_u8; 4096];
                let mut in_line = 0_usize;
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    let mut new = piece.get(..length).unwrap_or_default().to_vec();
                    new.retain(|byte| {
                        in_line = if *byte == b'\n' { 0 } else { in_line.saturating_add(1) };
                        in_line <= MAX_LINE_KEPT
                    });
                    let over = (kept.len() + new.len()).saturating_sub(MAX_KEPT);
                    kept.drain(..over.min(kept.len()));
                    kept.extend(new);
                }
                kept.into()
            })
            .map(Self)
    }

    /// Waits until the program and everything that shares its standard error have ended.
    pub(super) fn wait(self) -> Vec<u8> {
        self.0.join().unwrap_or_default()
    }
}

/// The last lines of `output` for a message, without secrets and control characters.
pub(super) fn last_lines(output: &[u8], secrets: &[Secret]) -> String {
    let text = String::from_utf8_lossy(output).into_owned();
    let text = secrets.iter().fold(text, |text, secret| secret.redact(&text));
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.trim_end().chars().filter(|it| !it.is_control()).collect::<String>())
        .filter(|line| !line.is_empty())
        .map(|line| line.chars().take(MAX_LINE).collect())
        .collect();
    let first = lines.len().saturating_sub(MAX_LINES);
    lines.get(first..).unwrap_or_default().join("\n")
}
