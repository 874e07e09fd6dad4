//! Wires everything together: opens the data directory, serves, shuts down cleanly.

mod alerts;
mod archive_access;
mod boundaries;
mod error;
mod foretold;
mod gate;
mod http;
mod identity;
pub mod keys;
mod keystone;
mod listener;
mod open;
mod owner;
pub mod places;
mod policies;
mod reload;
mod serve;
mod signals;
mod socket;
mod startup_probe;
mod stream;
mod systemd;
mod time_lapse;
mod token;
mod users;

pub use alerts::{channels as alert_channels, test_channels};
pub use error::ServerError;
pub use identity::require_known;
pub use keystone::keystone_of;
pub use open::{executor_settings, open_and_lock, open_existing, open_existing_with};
pub use owner::{group_name, mended_by, user_name};
pub use policies::configured_policies;
pub use serve::serve;
pub use time_lapse::TimeLapse;
pub use token::{ADMIN_TOKEN, NewToken};
