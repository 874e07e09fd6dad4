//! Channels for alerts, without knowing what they are.

use crate::wire::ChannelTest;

/// The channels of the configuration; the server implements it.
pub trait AlertChannels: Send + Sync + std::fmt::Debug {
    /// Their names, in the order of the configuration.
    fn names(&self) -> Vec<String>;

    /// Sends a test message through each of these and waits for what comes back.
    fn test(&self, names: &[String]) -> Vec<ChannelTest>;
}
