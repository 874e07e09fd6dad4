//! Which page a path is.

use std::str::FromStr;

use crate::domain::{BackupId, InstanceId};

/// A page, or something that is sent by a form of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    SignIn,
    SignOut,
    Asset(Asset),
    Overview,
    Instance(InstanceId),
    /// A form of an instance's page.
    OfInstance(InstanceId, InstanceAction),
    Backup(BackupId),
    Archive(BackupId),
    /// A page of its own with a form, or a form of a backup's page.
    OfBackup(BackupId, BackupAction),
    Alerts,
    TestAlerts,
    Events,
    Fleet,
    Quotas,
    Reference,
    Live,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asset {
    Style,
    Script,
    Icon,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstanceAction {
    BackUp,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackupAction {
    Delete,
    Restore,
    Drill,
    Verify,
    Consolidate,
    Pin,
    Unpin,
    Undelete,
}

impl Route {
    /// The page of a path below `/console/`.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let route = match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            ("", None, None) => Self::Overview,
            ("sign-in", None, None) => Self::SignIn,
            ("sign-out", None, None) => Self::SignOut,
            ("assets", Some("console.css"), None) => Self::Asset(Asset::Style),
            ("assets", Some("console.js"), None) => Self::Asset(Asset::Script),
            ("assets", Some("icon.svg"), None) => Self::Asset(Asset::Icon),
            ("instances", Some(id), None) => Self::Instance(of_text(id)?),
            ("instances", Some(id), Some("backup")) => {
                Self::OfInstance(of_text(id)?, InstanceAction::BackUp)
            }
            ("instances", Some(id), Some("delete")) => {
                Self::OfInstance(of_text(id)?, InstanceAction::Delete)
            }
            ("backups", Some(id), None) => Self::Backup(of_text(id)?),
            ("backups", Some(id), Some("archive")) => Self::Archive(of_text(id)?),
            ("backups", Some(id), Some(action)) => {
                Self::OfBackup(of_text(id)?, BackupAction::of(action)?)
            }
            ("alerts", None, None) => Self::Alerts,
            ("alerts", Some("test"), None) => Self::TestAlerts,
            ("events", None, None) => Self::Events,
            ("fleet", None, None) => Self::Fleet,
            ("quotas", None, None) => Self::Quotas,
            ("api", None, None) => Self::Reference,
            ("live", None, None) => Self::Live,
            _ => return None,
        };
        parts.next().is_none().then_some(route)
    }

    /// Whether it shows something, and changes nothing.
    pub(super) const fn is_shown(self) -> bool {
        match self {
            Self::Overview
            | Self::Instance(_)
            | Self::OfInstance(_, InstanceAction::Delete)
            | Self::Backup(_)
            | Self::Archive(_)
            | Self::OfBackup(_, BackupAction::Delete | BackupAction::Restore)
            | Self::Alerts
            | Self::Events
            | Self::Fleet
            | Self::Quotas
            | Self::Reference => true,
            Self::SignIn
            | Self::SignOut
            | Self::Asset(_)
            | Self::OfInstance(..)
            | Self::OfBackup(..)
            | Self::TestAlerts
            | Self::Live => false,
        }
    }
}

fn of_text<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

impl BackupAction {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "delete" => Self::Delete,
            "restore" => Self::Restore,
            "drill" => Self::Drill,
            "verify" => Self::Verify,
            "consolidate" => Self::Consolidate,
            "pin" => Self::Pin,
            "unpin" => Self::Unpin,
            "undelete" => Self::Undelete,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_page_or_none() {
        let id = "01a21c3c-c8a3-7543-b60a-b9e95cc32443";
        assert_eq!(Route::of(""), Some(Route::Overview));
        let backup: BackupId = id.parse().unwrap();
        assert_eq!(Route::of(&format!("backups/{id}")), Some(Route::Backup(backup)));
        let pin = Route::OfBackup(backup, BackupAction::Pin);
        assert_eq!(Route::of(&format!("backups/{id}/pin")), Some(pin));
        for nowhere in
            ["x", "backups", "backups/x", "backups/x/pin", "/", "alerts/test/more", "sign-in/"]
        {
            assert_eq!(Route::of(nowhere), None, "{nowhere}");
        }
        assert_eq!(Route::of(&format!("backups/{id}/pin/more")), None);
        assert_eq!(Route::of(&format!("backups/{id}/burn")), None);
    }
}
