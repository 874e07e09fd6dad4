//! Where the policies of the instances come from.

use std::fmt;

use crate::domain::InstanceId;
use crate::policy::{Policy, PolicyKeys};

/// What the configuration says of the policies of instances.
pub trait PolicySource: fmt::Debug + Send + Sync {
    /// The instances of the configuration.
    fn configured(&self) -> Vec<InstanceId>;

    /// What the configuration says of this instance itself.
    fn own_keys(&self, id: InstanceId) -> PolicyKeys;

    /// The policy of an instance of which the configuration does not say these keys, or why they make none.
    fn policy(&self, id: InstanceId, set: &PolicyKeys) -> Result<Policy, String>;
}
