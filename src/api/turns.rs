//! Turns at reading many rows. What answers lists runs on the event loops, and whoever asks for many at once must not
//! keep others waiting: neither those that ask for little, nor those that ask for lists, too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::yield_now;

/// How long rows are read on an event loop before everything else has a turn.
const SLICE: Duration = Duration::from_millis(1);

/// The turns of one event loop: one reads at a time.
#[derive(Default)]
struct Turns {
    is_taken: Cell<bool>,
    /// How long was read since everything else had a turn.
    used: Cell<Duration>,
    /// Who waits, next first.
    lanes: RefCell<VecDeque<Lane>>,
}

/// Those that wait with one token.
struct Lane {
    who: String,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

thread_local! {
    static TURNS: Turns = Turns::default();
}

/// The right to read now. When it is dropped, also by somebody who no longer waited, the next one has it.
#[must_use = "it is over when this is dropped"]
pub(super) struct Turn {
    begun: Option<Instant>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let time = self.begun.map_or(Duration::ZERO, |it| it.elapsed());
        // Once the thread ends, nobody waits.
        let next = TURNS.try_with(|turns| turns.end(time)).ok().flatten();
        if let Some(next) = next {
            drop(next.send(Self { begun: None }));
        }
    }
}

impl Turns {
    /// A turn ends that took so long. The next one is of another token than this one, if any waits.
    fn end(&self, time: Duration) -> Option<oneshot::Sender<Turn>> {
        self.used.set(self.used.get().saturating_add(time));
        let mut lanes = self.lanes.borrow_mut();
        let next = lanes.pop_front().and_then(|mut lane| {
            let next = lane.waiting.pop_front();
            if !lane.waiting.is_empty() {
                lanes.push_back(lane);
            }
            next
        });
        self.is_taken.set(next.is_some());
        next
    }

    /// A turn at once, or what to wait for.
    fn enter(&self, who: &str) -> Result<Turn, oneshot::Receiver<Turn>> {
        if !self.is_taken.replace(true) {
            return Ok(Turn { begun: None });
        }
        let (sender, receiver) = oneshot::channel();
        let mut lanes = self.lanes.borrow_mut();
        match lanes.iter_mut().find(|it| it.who == who) {
            Some(lane) => lane.waiting.push_back(sender),
            None => lanes.push_back(Lane { who: who.to_owned(), waiting: [sender].into() }),
        }
        Err(receiver)
    }
}

/// Waits until it is this token's turn to read.
pub(super) async fn turn(who: &str) -> Turn {
    let mut turn = match TURNS.with(|it| it.enter(who)) {
        Ok(turn) => turn,
        Err(waits) => waits.await.unwrap_or_else(|_gone| Turn { begun: None }),
    };
    if TURNS.with(|it| it.used.get()) >= SLICE {
        // Whatever is ready comes first, also what arrived meanwhile.
        yield_now().await;
        TURNS.with(|it| it.used.set(Duration::ZERO));
    }
    turn.begun = Some(Instant::now());
    turn
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use actix_web::rt::spawn;
    use actix_web::rt::task::JoinHandle;

    use super::*;

    type Log = Rc<RefCell<Vec<String>>>;

    /// Reads as this token, which takes as long as a slice.
    fn read(log: &Log, who: &'static str, number: u32) -> JoinHandle<()> {
        let log = Rc::clone(log);
        spawn(async move {
            let _turn = turn(who).await;
            log.borrow_mut().push(format!("{who}{number}"));
            use_up_the_slice();
        })
    }

    fn use_up_the_slice() {
        TURNS.with(|it| it.used.set(SLICE));
    }

    #[actix_web::test]
    async fn tokens_take_turns_and_everything_else_comes_between() {
        let log = Log::default();
        use_up_the_slice();
        let crowd: Vec<_> = (0..4).map(|number| read(&log, "crowd", number)).collect();
        let alice = read(&log, "alice", 0);
        let other = spawn({
            let log = Rc::clone(&log);
            async move {
                for _step in 0..2 {
                    log.borrow_mut().push("other".to_owned());
                    yield_now().await;
                }
            }
        });
        for task in crowd.into_iter().chain([alice, other]) {
            task.await.unwrap();
        }
        let order = log.take();
        assert_eq!(order.first().map(String::as_str), Some("other"), "{order:?}");
        let reads: Vec<_> = order.iter().filter(|it| *it != "other").collect();
        assert_eq!(reads, ["crowd0", "crowd1", "alice0", "crowd2", "crowd3"]);
        let second = order.iter().rposition(|it| it == "other").unwrap();
        assert!(second < 4, "{order:?}");
    }

    #[actix_web::test]
    async fn whoever_no_longer_waits_keeps_nobody_waiting() {
        let log = Log::default();
        use_up_the_slice();
        let first = read(&log, "crowd", 0);
        yield_now().await;
        let gone = [read(&log, "crowd", 1), read(&log, "alice", 0)];
        let last = read(&log, "crowd", 2);
        for task in &gone {
            task.abort();
        }
        first.await.unwrap();
        last.await.unwrap();
        assert!(!log.borrow().contains(&"alice0".to_owned()), "{log:?}");
        // Nobody has it.
        TURNS.with(|it| assert!(!it.is_taken.get() && it.lanes.borrow().is_empty()));
    }
}
