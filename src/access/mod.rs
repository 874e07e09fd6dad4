//! What the API and the console do for clients besides asking the catalog: archives to download or to fetch out of the
//! trash, test messages to the channels for alerts, and waits for addresses that sign in wrongly.
//!
//! The server implements the traits; neither face knows where archives lie or how messages are sent.

mod archives;
mod channels;
mod download;
mod host;
mod slow_down;
mod trash;

pub use archives::{ArchiveAccess, NotFetched, NotOpened, NotRead, OpenArchive, open_archive};
pub use channels::AlertChannels;
pub use download::ArchivePart;
pub use host::{Reached, is_own_host, leads_here};
pub use slow_down::SlowDown;
pub use trash::{NotUndeleted, pin, undelete};
