//! A thread that compares passwords, one at a time: each takes a good part of a second and much memory.

use std::fmt;
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::domain::Secret;

use super::{PasswordHash, Refused, UsersError};

/// Passwords that may wait for their turn.
const WAITING: usize = 16;

struct Work {
    password: Secret,
    hash: PasswordHash,
    answer: oneshot::Sender<Result<bool, UsersError>>,
}

/// The thread begins with the first password, and ends when this is dropped.
#[derive(Default)]
pub(super) struct Hasher(Mutex<Option<Sender<Work>>>);

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hasher")
    }
}

impl Hasher {
    /// Whether the hash is that of the password.
    pub(super) async fn is_of(
        &self,
        hash: PasswordHash,
        password: Secret,
    ) -> Result<bool, Refused> {
        let (answer, answered) = oneshot::channel();
        self.sender()?.try_send(Work { password, hash, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => ended(),
        })?;
        Ok(answered.await.map_err(|_gone| ended())??)
    }

    fn sender(&self) -> Result<Sender<Work>, UsersError> {
        let mut sender = self.0.lock();
        if let Some(known) = &*sender {
            return Ok(known.clone());
        }
        let (made, work) = bounded(WAITING);
        let thread = thread::Builder::new().name("passwords".to_owned());
        thread
            .spawn(move || compare(&work))
            .map_err(|error| UsersError::Hash(error.to_string()))?;
        Ok(sender.insert(made).clone())
    }
}

fn ended() -> Refused {
    UsersError::Hash("its thread has ended".to_owned()).into()
}

fn compare(work: &Receiver<Work>) {
    for Work { password, hash, answer } in work {
        // Nobody waits any more.
        if answer.is_closed() {
            continue;
        }
        // Whoever asked may be gone meanwhile.
        answer.send(hash.is_of(password.reveal())).ok();
    }
}
