//! A thread that writes the log, so that a slow reader of stderr never delays a request.
//!
//! Lines wait in memory, in order. When too many wait, further ones are dropped, and the log says how many.
//! A process that is killed loses the lines that wait; one that exits calls [`flush`].

use std::io::{self, Write};
use std::mem;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait.
const MAX_WAITING: usize = 256 << 10;

/// The thread's stack. It takes memory only as far as it is used, and the allocator of a debug build uses more than 64 KiB.
const STACK_BYTES: usize = 512 << 10;

/// The longest that [`flush`] waits for the reader of the log.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static QUEUE: OnceLock<&'static Queue> = OnceLock::new();

/// Starts the thread. Returns the writer for the logger, which writes each line in one call.
pub(super) fn start() -> io::Result<impl Write + Send> {
    let queue: &'static Queue = Box::leak(Box::default());
    let thread = thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(|| queue.write_to(&mut io::stderr()))?;
    QUEUE.set(queue).ok();
    Ok(queue)
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
    /// Notified when there are lines to write, and when all are written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    /// The thread has taken lines and is writing them.
    writing: bool,
}

impl Write for &Queue {
    /// Never blocks and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() + line.len() > MAX_WAITING {
            waiting.dropped += 1;
        } else {
            if waiting.lines.is_empty() {
                self.changed.notify_all();
            }
            waiting.lines.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    /// Waits for lines and writes them, for as long as the process lives.
    fn write_to(&self, log: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.take(&mut lines);
            // An error cannot be reported: this is where errors are reported.
            log.write_all(&lines).ok();
            self.waiting.lock().writing = false;
            self.changed.notify_all();
            if dropped > 0 {
                log::warn!("{dropped} log lines were dropped: stderr is read too slowly");
            }
        }
    }

    /// Waits for lines and moves them to `lines`; returns how many were dropped since the last call.
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
    fn lines_are_written_in_order_and_those_beyond_the_limit_are_counted() {
        let (queue, mut lines) = (Queue::default(), Vec::new());
        (&queue).write_all(b"one\n").unwrap();
        (&queue).write_all(b"two\n").unwrap();
        assert_eq!((queue.take(&mut lines), lines.as_slice()), (0, &b"one\ntwo\n"[..]));
        for _ in 0..(MAX_WAITING >> 10) + 3 {
            (&queue).write_all(&[b'x'; 1 << 10]).unwrap();
        }
        assert_eq!((queue.take(&mut lines), lines.len()), (3, MAX_WAITING));
        (&queue).write_all(b"next\n").unwrap();
        assert_eq!((queue.take(&mut lines), lines.len()), (0, 5));
    }

    #[test]
    fn flushing_to_a_stuck_reader_ends() {
        let queue = Queue::default();
        (&queue).write_all(b"never read\n").unwrap();
        queue.wait_until_written(Duration::from_millis(1));
        assert_eq!(queue.waiting.lock().lines.len(), 11);
    }
}
