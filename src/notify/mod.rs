//! Tells people what is wrong, when it begins, while it lasts and when it is over.
//!
//! One thread compares what is wrong with what was said; the catalog queues what there is to say. Each channel then gets
//! its messages one after the other, from a thread that lives as long as there are any, so that a receiver that does not
//! answer holds up no other.
//!
//! A message leaves the queue once its receiver has accepted it: it arrives at least once. If the process dies in the
//! moment between the two, it is sent again with the same id, by which the receiver may know it.

mod authorities;
mod channel;
mod command;
mod credential;
mod email;
mod error;
mod http;
mod notifier;
mod outbox;
mod request;
mod thread;
mod unrecorded;

pub use authorities::Authorities;
pub use channel::{Address, Channel, Channels, Target};
pub use command::Command;
pub use credential::Credential;
pub use email::{Email, Security};
pub use error::{NotifyError, Result};
pub use notifier::{Notifier, Problems};
pub use request::Service;
pub use thread::NotifyThread;
