//! What is wrong with an instance or with the server, in a form that can be compared from one look to the next.

use crate::domain::{InstanceId, Timestamp, words};

/// Something that is wrong for as long as it is. It is the same problem as another one if kind and instance are the
/// same, whatever the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// `None`: of the server as a whole.
    pub instance: Option<InstanceId>,
    /// When it began, as far as is known.
    pub since: Timestamp,
    /// What happened and to what, in one sentence.
    pub message: String,
    /// What to do about it, in one sentence.
    pub advice: String,
}

words! {
    /// How bad a problem is, the worst last.
    pub enum Severity {
        /// Nothing is lost yet, and nothing is without a backup.
        Warning = "warning",
        /// There is no good backup, or there will be none soon.
        Critical = "critical",
    }
}

words! {
    /// What may be wrong.
    pub enum ProblemKind {
        /// The newest backup failed, and there is no good one since.
        Failed = "failed",
        /// A backup was due and none was begun, or none is there after the time it may take.
        Missed = "missed",
        /// A backup cannot even begin: what a check of the source or the server found.
        CannotStart = "cannot_start",
        /// There is no proven backup at all.
        NoBackup = "no_backup",
        /// The newest backup is much smaller than those before.
        Smaller = "smaller",
        /// The newest backup took much longer than those before.
        Slower = "slower",
        /// The newest backup that was restored in a drill is too old.
        ProofOld = "proof_old",
        /// A backup that was good is damaged or missing.
        Damaged = "damaged",
        /// A backup leaves something out that the one before did not.
        LeftOut = "left_out",
        /// A table has far fewer rows than at the drill before.
        RowsFell = "rows_fell",
        /// The restore into staging failed or is overdue.
        StagingFailed = "staging_failed",
        /// A copy fails again and again.
        CopyFailed = "copy_failed",
        /// Backups are not in a place where they should be by now.
        CopiesLate = "copies_late",
        /// A place for copies cannot be reached, or is not mounted.
        PlaceUnreachable = "place_unreachable",
        /// A place was taken out of the configuration, and copies lie there.
        PlaceNotConfigured = "place_not_configured",
        /// A device of a fleet has no new backup, although one was expected by now.
        DeviceSilent = "device_silent",
        /// A fleet cannot be read, or not all of it.
        FleetUnread = "fleet_unread",
        /// It was never tried that anybody can read what is encrypted.
        KeyUntried = "key_untried",
        /// A secret key of the configuration cannot be used, or reads nothing of what is encrypted.
        KeyUnusable = "key_unusable",
        /// The certificate of the server's port has ended, or will soon.
        CertificateEnds = "certificate_ends",
        /// Backups lie only in places that cannot be used.
        OutOfReach = "out_of_reach",
        /// The disk has room for few more backups.
        RoomLow = "room_low",
        /// The disk of the data directory reported an error.
        DiskFailing = "disk_failing",
        /// The clock jumped.
        ClockJumped = "clock_jumped",
        /// Nothing new is accepted, or archives or the catalog are not where they were.
        ServerStopped = "server_stopped",
    }
}

impl ProblemKind {
    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Failed
            | Self::Missed
            | Self::CannotStart
            | Self::NoBackup
            | Self::Damaged
            | Self::OutOfReach
            | Self::DeviceSilent
            | Self::DiskFailing
            | Self::ServerStopped => Severity::Critical,
            Self::Smaller
            | Self::Slower
            | Self::ProofOld
            | Self::LeftOut
            | Self::RowsFell
            | Self::StagingFailed
            | Self::CopyFailed
            | Self::CopiesLate
            | Self::PlaceUnreachable
            | Self::PlaceNotConfigured
            | Self::FleetUnread
            | Self::KeyUntried
            | Self::KeyUnusable
            | Self::CertificateEnds
            | Self::RoomLow
            | Self::ClockJumped => Severity::Warning,
        }
    }
}
