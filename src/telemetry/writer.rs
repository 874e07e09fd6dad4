//! A thread that writes the log, so that a slow reader of stderr never delays a request.
//!
//! Lines wait in memory, in order. When too many wait, further ones are dropped and counted, and the log
//! says how many. A process that is killed loses the lines that wait; one that exits calls [`flush`].

use std::io::{self, Write};
use std::mem;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait.
const MAX_WAITING: usize = 256 << 10;

/// The longest that [`flush`] waits for the reader of the log.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The queue of this process; set once the writer thread runs.
static QUEUE: OnceLock<&'static Queue> = OnceLock::new();

/// Where the logger writes its lines to.
pub(super) struct LogWriter(&'static Queue);

impl LogWriter {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let queue: &'static Queue = Box::leak(Box::default());
        let thread = thread::Builder::new().name("log".to_owned()).stack_size(64 << 10);
        thread.spawn(|| queue.write_to(&mut io::stderr()))?;
        QUEUE.set(queue).ok();
        Ok(Self(queue))
    }
}

impl Write for LogWriter {
    /// Takes one line. Never blocks and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until every line so far is written, but not forever.
pub(super) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.wait_until_written(FLUSH_TIMEOUT);
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Notified when a line is added, and when all are written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    /// Lines were taken out and are being written.
    writing: bool,
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() + line.len() > MAX_WAITING {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Waits for lines and writes them, for as long as the process lives.
    fn write_to(&self, log: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.take(&mut lines);
            // An error here can be reported nowhere: this is where errors go.
            log.write_all(&lines).ok();
            self.waiting.lock().writing = false;
            self.changed.notify_all();
            if dropped > 0 {
                log::warn!("{dropped} log lines were dropped: stderr is read too slowly");
            }
        }
    }

    /// Waits for lines and moves them to `lines`; returns how many were dropped after them.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        lines.clear();
        let mut waiting = self.waiting.lock();
        self.changed.wait_while(&mut waiting, |waiting| waiting.lines.is_empty());
        mem::swap(&mut waiting.lines, lines);
        waiting.writing = true;
        mem::take(&mut waiting.dropped)
    }

    fn wait_until_written(&self, timeout: Duration) {
        let unfinished = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        self.changed.wait_while_for(&mut self.waiting.lock(), unfinished, timeout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_once_and_in_order() {
        let (queue, mut lines) = (Queue::default(), Vec::new());
        queue.push(b"one\n");
        queue.push(b"two\n");
        assert_eq!((queue.take(&mut lines), lines.as_slice()), (0, &b"one\ntwo\n"[..]));
        queue.push(b"three\n");
        assert_eq!((queue.take(&mut lines), lines.as_slice()), (0, &b"three\n"[..]));
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_and_counted() {
        let (queue, mut lines) = (Queue::default(), Vec::new());
        for _ in 0..(MAX_WAITING >> 10) + 3 {
            queue.push(&[b'x'; 1 << 10]);
        }
        assert_eq!((queue.take(&mut lines), lines.len()), (3, MAX_WAITING));
        queue.push(b"next\n");
        assert_eq!((queue.take(&mut lines), lines.len()), (0, 5));
    }

    #[test]
    fn waiting_for_a_stuck_reader_ends() {
        let queue = Queue::default();
        queue.push(b"never read\n");
        queue.wait_until_written(Duration::from_millis(1));
        assert_eq!(queue.waiting.lock().lines.len(), 11);
    }
}
