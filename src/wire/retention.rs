//! Retention: which backups of an instance stay, which go, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{BackupId, InstanceId};
use crate::policy::{Amount, Chain, Fate, Guard, Keep, Targets, Tier};

use super::UtcTime;

/// What retention would do now, which is what it does at the next opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionView {
    /// The instance.
    pub instance_id: InstanceId,
    /// How many restore points each rule keeps; without any rule and size, everything is kept.
    pub keep: BTreeMap<Tier, u32>,
    /// Nothing younger than so many seconds goes.
    pub min_age_seconds: u64,
    /// The most that the archives may take; null for any size.
    #[schema(required)]
    pub max_size_bytes: Option<u64>,
    /// Why nothing goes for now, also of what has no other reason to stay.
    pub suspended: Vec<Guard>,
    /// The bytes of the archives that go.
    pub freed_bytes: u64,
    /// How many restore points there are afterwards.
    pub restore_points_left: u64,
    /// Every full backup with all that is built on it, newest first.
    pub chains: Vec<ChainView>,
    /// The copies that go from places while their backups stay.
    pub copies: Vec<GoingCopiesView>,
    /// Full backups that are deleted with all that is built on them, since the last place that had them keeps them no
    /// longer.
    pub forgotten: Vec<BackupId>,
}

/// The copies that go from a place while their backups stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GoingCopiesView {
    /// The name of the place.
    pub place: String,
    /// The backups whose copies go.
    pub backup_ids: Vec<BackupId>,
}

/// A full backup with all that is built on it: they stay or go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainView {
    /// The full backup.
    pub root_id: BackupId,
    /// All of them, oldest first.
    pub backup_ids: Vec<BackupId>,
    /// How many of them can be restored from proven archives.
    pub restore_points: u64,
    /// When the full backup was asked for.
    pub created: UtcTime,
    /// When the newest of them was asked for.
    pub newest: UtcTime,
    /// What the archives take.
    pub size_bytes: u64,
    /// Whether they go now.
    pub goes: bool,
    /// Why they have to go, if nothing suspends that; null if they stay.
    #[schema(required)]
    pub reason: Option<Expiry>,
    /// The rules of the policy that keep one of them.
    pub kept_by: Vec<Tier>,
    /// Why they stay whatever the policy says.
    pub held_by: Vec<Guard>,
    /// The places that keep it when it goes from the data directory.
    pub stays_in: Vec<String>,
    /// The incremental backups that become full ones now, so that the others can go after that.
    pub consolidates: Vec<BackupId>,
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// No rule keeps it any more.
    Expired,
    /// The archives take more than they may.
    OverSize,
    /// It goes from the data directory only: `stays_in` are the places that keep it.
    Leaves,
}

impl RetentionView {
    /// What a policy decides, as clients see it.
    pub fn new(instance: InstanceId, keep: Option<&Keep>, targets: &Targets) -> Self {
        let decision = &targets.here;
        let default = Keep::default();
        let keep = keep.unwrap_or(&default);
        let suspended = !decision.suspended.is_empty();
        let chains: Vec<_> =
            decision.chains.iter().map(|chain| ChainView::new(chain, suspended)).collect();
        let stays = |chain: &&ChainView| !chain.goes || chain.reason == Some(Expiry::Leaves);
        let left = chains.iter().filter(stays).map(|chain| chain.restore_points);
        Self {
            instance_id: instance,
            keep: keep.tiers().iter().map(|(tier, count)| (*tier, count.get())).collect(),
            min_age_seconds: keep.min_age.duration().as_secs(),
            max_size_bytes: keep.max_size.map(Amount::bytes),
            suspended: decision.suspended.clone(),
            freed_bytes: decision.freed_bytes(),
            restore_points_left: left.fold(0, u64::saturating_add),
            chains,
            copies: targets
                .places
                .iter()
                .map(|(place, ids)| GoingCopiesView {
                    place: place.clone(),
                    backup_ids: ids.clone(),
                })
                .collect(),
            forgotten: targets.forgotten.clone(),
        }
    }
}

impl ChainView {
    fn new(chain: &Chain, suspended: bool) -> Self {
        let (reason, kept_by, held_by) = match &chain.fate {
            Fate::Stays { tiers, guards } => (None, tiers.clone(), guards.clone()),
            Fate::Expired => (Some(Expiry::Expired), Vec::new(), Vec::new()),
            Fate::OverSize => (Some(Expiry::OverSize), Vec::new(), Vec::new()),
            Fate::Leaves { .. } => (Some(Expiry::Leaves), Vec::new(), Vec::new()),
        };
        let stays_in = match &chain.fate {
            Fate::Leaves { places } => places.clone(),
            Fate::Stays { .. } | Fate::Expired | Fate::OverSize => Vec::new(),
        };
        Self {
            root_id: chain.root,
            backup_ids: chain.members.clone(),
            restore_points: u64::try_from(chain.restore_points).unwrap_or(u64::MAX),
            created: chain.created.into(),
            newest: chain.newest.into(),
            size_bytes: chain.bytes,
            goes: reason.is_some() && !suspended,
            reason,
            kept_by,
            held_by,
            stays_in,
            consolidates: if suspended { Vec::new() } else { chain.consolidates.clone() },
        }
    }
}
