//! Where Coffer answers otherwise than Trove did, and why: the whole list. A case that is not here has
//! to be answered alike, and one that is has to differ in exactly this way.

/// What Coffer does.
pub(crate) enum Ours {
    /// Answers with this status, and fault (none for a success).
    Answers(u16, &'static str),
    /// Answers alike but with other keys.
    Keys(&'static str),
}

/// Some cases and the reason.
pub(crate) struct Difference {
    /// The cases' names in the recording.
    pub(crate) cases: &'static [&'static str],
    /// What Coffer does.
    pub(crate) ours: Ours,
    /// Why: the row of the design that says so.
    pub(crate) why: &'static str,
}

/// Keys that Coffer adds wherever they fit, after Trove's own.
pub(crate) const EXTENSIONS: &[&str] = &[
    ".storage_driver",
    ".size_bytes",
    ".source_bytes",
    ".checksum",
    ".kind",
    ".progress",
    ".failure",
    ".verified_at",
    ".verify_level",
    ".left_out",
    ".drill",
    ".next_drill",
    ".pinned_at",
    ".copies",
    ".volume.used",
    ".restored_from",
    ".restored_to",
];

/// The table.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        cases: &["strategy/create-instance-unknown", "strategy/create-instance-other-project"],
        ours: Ours::Answers(404, "itemNotFound"),
        why: "an id that is unknown or another project's is a 404 wherever it is named",
    },
    Difference {
        cases: &[
            "version/v1.0-notoken",
            "version/v1.0-slash-notoken",
            "version/v1.0-token",
            "version/v1.0-slash-token",
            "accept-json/403-v1.0",
        ],
        ours: Ours::Answers(200, ""),
        why: "the version documents need no token",
    },
    Difference {
        cases: &[
            "auth/no-token",
            "auth/no-token-unknown-path",
            "auth/no-token-bad-body",
            "accept-json/401",
        ],
        ours: Ours::Answers(401, "unauthorized"),
        why: "no Keystone stands before it, so 401 comes in Trove's own envelope",
    },
    Difference {
        cases: &["auth/bearer"],
        ours: Ours::Answers(200, ""),
        why: "a token is accepted as Authorization: Bearer too",
    },
    Difference {
        cases: &["auth/admin-other-project-in-path"],
        ours: Ours::Answers(200, ""),
        why: "an administrator may name any project in the path",
    },
    Difference {
        cases: &["auth/reader-role-create"],
        ours: Ours::Answers(403, "forbidden"),
        why: "a reader reads",
    },
    Difference {
        cases: &[
            "version/root-post",
            "method/backups-PATCH",
            "method/backups-DELETE",
            "method/backups-OPTIONS",
            "method/backup-id-PUT",
            "method/instances-backups-POST",
            "method/strategies-PUT",
            "method/datastores-DELETE",
            "method/limits-POST",
        ],
        ours: Ours::Answers(405, "badMethod"),
        why: "a wrong method on a known path is 405, with Allow",
    },
    Difference {
        cases: &["method/backups-HEAD", "show/head"],
        ours: Ours::Answers(200, ""),
        why: "HEAD answers as GET does, without a body",
    },
    Difference {
        cases: &[
            "list/empty-limit0",
            "list/limit-0",
            "list/limit-unicode-digit",
            "list/limit-twice",
        ],
        ours: Ours::Answers(400, "badRequest"),
        why: "a limit that is not understood, or is nothing, is 400",
    },
    Difference {
        cases: &[
            "list/limit-2-marker-2",
            "list/marker-past-end",
            "list/next-after-exact",
            "pages/second-default",
            "pages/limit-10-m20",
        ],
        ours: Ours::Answers(400, "badRequest"),
        why: "a marker is opaque, or a backup's id, and never an offset",
    },
    Difference {
        cases: &["create-bad/container-slash"],
        ours: Ours::Answers(400, "badRequest"),
        why: "swift_container names one subfolder of the archive store",
    },
    Difference {
        cases: &["create-bad/storage-driver-unknown", "create/storage-driver-swift"],
        ours: Ours::Answers(400, "badRequest"),
        why: "a storage driver that is not configured is 400",
    },
    Difference {
        cases: &["create/parent-failed"],
        ours: Ours::Answers(422, "unprocessableEntity"),
        why: "a parent has to be COMPLETED",
    },
    Difference {
        cases: &["running/parent-not-completed-other-instance"],
        ours: Ours::Answers(400, "badRequest"),
        why: "a parent has to be of the same instance",
    },
    Difference {
        cases: &["filter-admin/all-projects-garbage"],
        ours: Ours::Keys("no rows"),
        why: "the backup that an administrator makes belongs to its instance's project",
    },
    Difference {
        cases: &["running/instance-show", "instances/show"],
        ours: Ours::Keys(
            "lacks [.instance.fault, .instance.fault.created, .instance.fault.details, \
             .instance.fault.message] adds []",
        ),
        why: "a fault is shown where a restore failed; a refused request leaves none behind",
    },
    Difference {
        cases: &["instances/detail"],
        ours: Ours::Keys(
            "lacks [.instances[].fault, .instances[].fault.created, .instances[].fault.details, \
             .instances[].fault.message] adds []",
        ),
        why: "the same",
    },
    Difference {
        cases: &["delete/parent-of-running-child-sibling-after"],
        ours: Ours::Answers(200, ""),
        why: "a subtree is deleted in one transaction, or not at all",
    },
    Difference {
        cases: &["delete/ok-immediately-again"],
        ours: Ours::Answers(404, "itemNotFound"),
        why: "a deleted backup is gone as soon as its delete is accepted",
    },
];
