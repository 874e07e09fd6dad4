-- The catalog of one Coffer data directory: the whole current schema, version 14.
--
-- `PRAGMA user_version` holds the number of the schema and `PRAGMA application_id` says whose file it
-- is; `src/store/schema.rs` sets both, creates an empty file from this text and brings older ones here.
-- A test holds that both ways lead to the same schema.
--
-- Ids are hyphenated UUIDs as text, so that a person with `sqlite3` can read and join them. Times are
-- microseconds since 1970 in UTC. Counts come from rows; only `instance_totals`, `holdings` and
-- `instance_changes` are summed up ahead, by triggers.

-- Databases and directories. A row outlives the configuration that named it, for its backups' sake.
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    engine TEXT NOT NULL,
    version TEXT NOT NULL,
    -- Where it comes from: the configuration, or a restore of this backup.
    restored_from TEXT CHECK (length(restored_from) = 36),
    -- The keys of `source` in the configuration, as a JSON object; `{}` until a restore is placed.
    source TEXT NOT NULL CHECK (json_valid(source)),
    check_level TEXT NOT NULL CHECK (check_level IN ('off', 'quick', 'full')),
    -- BACKUP is not stored: it is shown while a backup of the instance runs.
    status TEXT NOT NULL CHECK (status IN ('BUILD', 'ACTIVE', 'ERROR', 'DETACHED')),
    -- What a restore wrote. The size of the newest backup is shown instead as soon as there is one.
    used_bytes INTEGER NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
    failure_code TEXT,
    failure_message TEXT,
    -- A restore to make: asked for, or claimed by a worker.
    restore TEXT CHECK (restore IN ('asked', 'claimed')),
    -- A removal to make, in the same words.
    removal TEXT CHECK (removal IN ('asked', 'claimed')),
    created INTEGER NOT NULL CHECK (created BETWEEN 0 AND 253402300799999999),
    updated INTEGER NOT NULL,
    -- How each new backup is proven: its archive is read back, or it is restored in a drill as well.
    verify TEXT NOT NULL DEFAULT 'archive' CHECK (verify IN ('archive', 'restore')),
    CHECK ((status = 'BUILD') = (restore IS NOT NULL)),
    CHECK (restore IS NULL OR restored_from IS NOT NULL),
    CHECK (removal IS NULL OR restored_from IS NOT NULL),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((status = 'ERROR') = (failure_code IS NOT NULL))
) STRICT;

-- The list of a project's instances, and its pages.
CREATE INDEX instances_by_name ON instances (project, name, id);
-- Every engine and version there is, by skipping from one to the next.
CREATE INDEX instances_by_datastore ON instances (engine, version);
-- What the configuration named last time.
CREATE INDEX instances_configured ON instances (id) WHERE restored_from IS NULL;
-- What counts against a project's quota.
CREATE INDEX instances_counted ON instances (project) WHERE restored_from IS NOT NULL;
-- Backups that a restore still needs.
CREATE INDEX instances_restoring ON instances (restored_from) WHERE status = 'BUILD';
-- The two queues, oldest first.
CREATE INDEX instances_to_restore ON instances (restore, created, id) WHERE restore IS NOT NULL;
CREATE INDEX instances_to_remove ON instances (removal, created, id) WHERE removal IS NOT NULL;

-- Backups. The table is the queue too: there is no second truth about what is to be done.
CREATE TABLE backups (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    project TEXT NOT NULL,
    -- NULL for a registered archive. No foreign key: backups outlive instances and catalogs.
    instance TEXT CHECK (length(instance) = 36),
    name TEXT NOT NULL,
    description TEXT,
    -- What a worker does with it: make an archive, or prove one that lies there already.
    task TEXT NOT NULL CHECK (task IN ('backup', 'registration')),
    kind TEXT NOT NULL CHECK (kind IN ('full', 'incremental')),
    -- No foreign key: a child whose parent is gone is kept, and says so when it is to be restored.
    parent TEXT CHECK (length(parent) = 36),
    -- 1 if the client named the parent, so that a full one would not be what it asked for.
    parent_required INTEGER NOT NULL DEFAULT 0 CHECK (parent_required IN (0, 1)),
    status TEXT NOT NULL CHECK (status IN ('NEW', 'BUILDING', 'SAVING', 'COMPLETED', 'FAILED',
                                           'RESTORED', 'DELETE_FAILED')),
    engine TEXT NOT NULL,
    version TEXT NOT NULL,
    container TEXT,
    -- Strictly increasing in every backup that this catalog accepts.
    created INTEGER NOT NULL CHECK (created BETWEEN 0 AND 253402300799999999),
    updated INTEGER NOT NULL,
    -- The archive: a path below the archive store. A registration has it before it has the rest.
    location TEXT,
    size INTEGER CHECK (size >= 0),
    source_bytes INTEGER CHECK (source_bytes >= 0),
    checksum TEXT,
    verified_at INTEGER,
    verify_level TEXT CHECK (verify_level IN ('bytes', 'checked', 'restored')),
    -- Why it failed, or why it could not be removed.
    failure_code TEXT,
    failure_message TEXT,
    -- What a later check found wrong with a finished archive. Nothing is built on it from then on.
    damage_code TEXT,
    damage_message TEXT,
    -- A removal to make: asked for, claimed by a worker, or failed and to be tried again.
    removal TEXT CHECK (removal IN ('asked', 'claimed', 'failed')),
    -- Where that damage is: in the bytes of the archive, so that a proof of them clears it, or in the
    -- data that they restore to, so that only a drill does.
    damage_in TEXT CHECK (damage_in IN ('archive', 'data')),
    -- The place that holds the archive.
    storage TEXT NOT NULL DEFAULT 'local' CHECK (length(storage) BETWEEN 1 AND 64),
    -- What the archive does not hold of the source, as a JSON list of `{"what": …, "why": …}`.
    left_out TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(left_out)),
    -- When its archive was put into the trash, where it can be fetched back for a while. `removal` is 'claimed'.
    trashed INTEGER,
    -- When a person asked to keep it, whatever the retention says.
    pinned INTEGER,
    -- How long it took to make, if that is known.
    took_ms INTEGER CHECK (took_ms >= 0),
    -- Whether the archive lies in the data directory: it does, it is to go because its copies are proven, or it went.
    here TEXT NOT NULL DEFAULT 'yes' CHECK (here IN ('yes', 'leaving', 'no')),
    -- The places that hold proven copies of it, in order, as a JSON list of names. The triggers of `copies` keep it.
    held_in TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(held_in)),
    CHECK ((kind = 'full') = (parent IS NULL)),
    CHECK (status NOT IN ('COMPLETED', 'RESTORED')
           OR (location IS NOT NULL AND size IS NOT NULL AND checksum IS NOT NULL)),
    CHECK ((checksum IS NULL) = (size IS NULL)),
    CHECK ((checksum IS NULL) = (source_bytes IS NULL)),
    CHECK ((checksum IS NULL) = (verified_at IS NULL)),
    CHECK ((checksum IS NULL) = (verify_level IS NULL)),
    CHECK (checksum IS NULL OR location IS NOT NULL),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((status IN ('FAILED', 'DELETE_FAILED')) = (failure_code IS NOT NULL)),
    CHECK ((damage_code IS NULL) = (damage_message IS NULL)),
    CHECK (removal IS NULL OR status NOT IN ('NEW', 'BUILDING', 'SAVING')),
    CHECK (task = 'backup' OR instance IS NULL)
) STRICT;

-- The lists, newest first: of a project, of an instance, of all projects.
CREATE INDEX backups_by_project ON backups (project, created, id);
CREATE INDEX backups_by_instance ON backups (instance, created, id);
CREATE INDEX backups_by_age ON backups (created, id);
-- What is built on a backup.
CREATE INDEX backups_by_parent ON backups (parent) WHERE parent IS NOT NULL;
-- The same lists of one status or one engine, so that rare rows are found without reading the others.
-- The index by instance and status also finds what an incremental may be built on.
CREATE INDEX backups_by_project_status ON backups (project, status, created, id);
CREATE INDEX backups_by_project_engine ON backups (project, engine, created, id);
CREATE INDEX backups_by_instance_status ON backups (instance, status, created, id);
CREATE INDEX backups_by_status ON backups (status, created, id);
CREATE INDEX backups_by_engine ON backups (engine, created, id);
-- Every engine and version there is, by skipping from one to the next.
CREATE INDEX backups_by_datastore ON backups (engine, version);
-- Archives that are to go from the data directory, because their copies are proven.
CREATE INDEX backups_leaving ON backups (created, id) WHERE here = 'leaving';
-- What counts against a project's quota.
CREATE INDEX backups_counted ON backups (project) WHERE status <> 'FAILED';
-- An archive belongs to one row.
CREATE UNIQUE INDEX backups_location ON backups (location) WHERE location IS NOT NULL;
-- One backup of an instance at a time.
CREATE UNIQUE INDEX backups_running ON backups (instance)
    WHERE status IN ('NEW', 'BUILDING', 'SAVING') AND instance IS NOT NULL;
-- The queues, oldest first.
CREATE INDEX backups_waiting ON backups (task, created, id) WHERE status = 'NEW';
CREATE INDEX backups_claimed ON backups (status, created, id)
    WHERE status IN ('BUILDING', 'SAVING');
CREATE INDEX backups_to_remove ON backups (removal, created, id) WHERE removal IS NOT NULL;
-- What the trash holds, so that the rows go when the files do.
CREATE INDEX backups_trashed ON backups (trashed) WHERE trashed IS NOT NULL;

-- Archives by their last proof, to read the one again first whose proof is oldest.
CREATE INDEX backups_proven ON backups (instance, verified_at, id)
    WHERE verified_at IS NOT NULL AND removal IS NULL;
-- Backups whose archive was reported as missing, until it is there again.
CREATE INDEX backups_missing ON backups (id) WHERE damage_code = 'archive_missing';

-- Backups that are damaged or missing, of each instance the newest first.
CREATE INDEX backups_bad ON backups (instance, created, id) WHERE damage_code IS NOT NULL;

-- The newest completed backups of an instance, with what health compares of them.
CREATE INDEX backups_history ON backups (instance, project, created, id, kind, size, source_bytes, verified_at,
                                         verify_level, took_ms, status, removal)
    WHERE status = 'COMPLETED' AND removal IS NULL;

-- How many completed backups an instance has in a project, and what their archives take. The triggers keep it, so
-- that it is always what a count of the rows would give; `coffer doctor` compares the two.
CREATE TABLE instance_totals (
    instance TEXT NOT NULL CHECK (length(instance) = 36),
    project TEXT NOT NULL,
    backups INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    PRIMARY KEY (instance, project)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER backups_add_to_totals AFTER INSERT ON backups
WHEN new.status = 'COMPLETED' AND new.removal IS NULL AND new.instance IS NOT NULL
BEGIN
    INSERT INTO instance_totals (instance, project, backups, stored_bytes)
    VALUES (new.instance, new.project, 1, new.size)
    ON CONFLICT (instance, project) DO UPDATE SET
        backups = backups + 1, stored_bytes = stored_bytes + excluded.stored_bytes;
END;

CREATE TRIGGER backups_change_totals AFTER UPDATE OF status, removal, instance, project, size ON backups
BEGIN
    UPDATE instance_totals SET backups = backups - 1, stored_bytes = stored_bytes - old.size
    WHERE instance = old.instance AND project = old.project AND old.status = 'COMPLETED' AND old.removal IS NULL;
    INSERT INTO instance_totals (instance, project, backups, stored_bytes)
    SELECT new.instance, new.project, 1, new.size
    WHERE new.status = 'COMPLETED' AND new.removal IS NULL AND new.instance IS NOT NULL
    ON CONFLICT (instance, project) DO UPDATE SET
        backups = backups + 1, stored_bytes = stored_bytes + excluded.stored_bytes;
END;

CREATE TRIGGER backups_take_from_totals AFTER DELETE ON backups
WHEN old.status = 'COMPLETED' AND old.removal IS NULL
BEGIN
    UPDATE instance_totals SET backups = backups - 1, stored_bytes = stored_bytes - old.size
    WHERE instance = old.instance AND project = old.project;
END;

-- How many completed backups of an instance lie in exactly these places, and in the data directory or not; without those
-- that lie there alone. The triggers keep it.
CREATE TABLE holdings (
    instance TEXT NOT NULL CHECK (length(instance) = 36),
    project TEXT NOT NULL,
    here INTEGER NOT NULL CHECK (here IN (0, 1)),
    held_in TEXT NOT NULL CHECK (json_valid(held_in)),
    backups INTEGER NOT NULL,
    PRIMARY KEY (instance, project, here, held_in)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER backups_change_holdings
AFTER UPDATE OF status, removal, instance, project, here, held_in ON backups
WHEN old.here = 'no' OR old.held_in <> '[]' OR new.here = 'no' OR new.held_in <> '[]'
BEGIN
    UPDATE holdings SET backups = backups - 1
    WHERE instance = old.instance AND project = old.project AND here = (old.here <> 'no')
        AND held_in = old.held_in AND old.status = 'COMPLETED' AND old.removal IS NULL
        AND (old.here = 'no' OR old.held_in <> '[]');
    INSERT INTO holdings (instance, project, here, held_in, backups)
    SELECT new.instance, new.project, new.here <> 'no', new.held_in, 1
    WHERE new.status = 'COMPLETED' AND new.removal IS NULL AND new.instance IS NOT NULL
        AND (new.here = 'no' OR new.held_in <> '[]')
    ON CONFLICT (instance, project, here, held_in) DO UPDATE SET backups = backups + 1;
    DELETE FROM holdings WHERE instance = old.instance AND project = old.project AND backups = 0;
END;

CREATE TRIGGER backups_take_from_holdings AFTER DELETE ON backups
WHEN old.status = 'COMPLETED' AND old.removal IS NULL AND (old.here = 'no' OR old.held_in <> '[]')
BEGIN
    UPDATE holdings SET backups = backups - 1
    WHERE instance = old.instance AND project = old.project AND here = (old.here <> 'no') AND held_in = old.held_in;
    DELETE FROM holdings WHERE instance = old.instance AND project = old.project AND backups = 0;
END;

-- Runs: every attempt at a job, from the moment it is asked for. A run that has not ended waits for a
-- worker, or one has begun it; drills and consolidations have no other queue. A run that has ended is history and does not
-- change any more: another attempt is another row.
--
-- The table is bounded. Of each backup the newest 20 ended runs of one kind and result are kept; the runs
-- of a deleted backup, and those that made and removed a deleted instance, expire after 90 days.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind TEXT NOT NULL CHECK (kind IN ('backup', 'registration', 'restore', 'drill', 'verify', 'removal',
                                       'instance_removal', 'staging', 'consolidation', 'copy')),
    project TEXT NOT NULL,
    -- The instance that is backed up, restored into or removed, or of which a backup is drilled or staged.
    instance TEXT CHECK (length(instance) = 36),
    -- The backup that is made, proven, restored or removed.
    backup TEXT CHECK (length(backup) = 36),
    asked INTEGER NOT NULL,
    begun INTEGER,
    ended INTEGER,
    result TEXT CHECK (result IN ('done', 'failed', 'damaged', 'cancelled', 'interrupted')),
    failure_code TEXT,
    failure_message TEXT,
    -- What was measured and counted, as a JSON object: `RunNumbers` of src/domain/run.rs.
    numbers TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(numbers)),
    -- When the row may be deleted; NULL while what it is about exists.
    expires INTEGER,
    CHECK (instance IS NOT NULL OR backup IS NOT NULL),
    CHECK ((ended IS NULL) = (result IS NULL)),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((failure_code IS NOT NULL) = (coalesce(result, '') IN ('failed', 'damaged')))
) STRICT;

-- The runs of a backup by kind: those that have not ended first, then oldest first.
CREATE INDEX runs_of_backup ON runs (backup, kind, ended, id) WHERE backup IS NOT NULL;
-- The same of drills alone: every list of backups searches it, and most backups have none.
CREATE INDEX runs_drills ON runs (backup, ended, id) WHERE kind = 'drill';
-- The history of an instance.
CREATE INDEX runs_of_instance ON runs (instance, ended, id) WHERE instance IS NOT NULL;
-- The drills and the restores into staging of an instance: when the next ones are due follows from them.
CREATE INDEX runs_recurring ON runs (instance, kind, ended, id) WHERE kind IN ('drill', 'staging');
-- At most one open run of a kind for each backup and instance.
CREATE UNIQUE INDEX runs_open ON runs (kind, coalesce(backup, ''), coalesce(instance, ''))
    WHERE ended IS NULL;
-- The queues of drills and consolidations, oldest first.
CREATE INDEX runs_waiting ON runs (kind, asked, id) WHERE ended IS NULL AND begun IS NULL;
CREATE INDEX runs_expiring ON runs (expires) WHERE expires IS NOT NULL;

-- The copies of archives in further places. A row outlives its backup until the copy is removed.
CREATE TABLE copies (
    backup TEXT NOT NULL CHECK (length(backup) = 36),
    place TEXT NOT NULL CHECK (length(place) BETWEEN 1 AND 64),
    -- What it needs in the same place before it.
    parent TEXT CHECK (length(parent) = 36),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'copying', 'proven', 'failed', 'expired')),
    location TEXT NOT NULL,
    -- An upload that was begun, as the place names it. Its parts are in copy_parts.
    upload TEXT,
    part_bytes INTEGER CHECK (part_bytes > 0),
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent >= 0),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Not before this time.
    due INTEGER NOT NULL,
    proven_at INTEGER,
    proven_by TEXT CHECK (proven_by IN ('read_back', 'store_checksum')),
    failure_code TEXT,
    failure_message TEXT,
    -- Since when it is to go: its backup is gone, or the place keeps it no longer.
    orphaned INTEGER,
    -- When it was asked for, and since when attempts at it have failed.
    asked INTEGER NOT NULL,
    failing INTEGER,
    -- Until then the store lets nobody remove or replace it.
    locked_until INTEGER,
    PRIMARY KEY (backup, place),
    CHECK ((upload IS NULL) = (part_bytes IS NULL)),
    CHECK ((proven_at IS NULL) = (proven_by IS NULL)),
    CHECK ((state = 'proven') = (proven_at IS NOT NULL)),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What is to be copied to a place, the longest due first.
CREATE INDEX copies_waiting ON copies (place, due, backup)
    WHERE state IN ('waiting', 'failed') AND orphaned IS NULL;
-- What a worker had when the process ended.
CREATE INDEX copies_running ON copies (state) WHERE state = 'copying';
-- What is to be removed from a place.
CREATE INDEX copies_orphaned ON copies (place, orphaned) WHERE orphaned IS NOT NULL;
-- What a place holds.
CREATE INDEX copies_of_place ON copies (place, state, sent, proven_at);

CREATE TRIGGER copies_held_from_the_start AFTER INSERT ON copies
WHEN new.state = 'proven' AND new.orphaned IS NULL
BEGIN
    UPDATE backups SET held_in = (
        SELECT json_group_array(place) FROM (
            SELECT place FROM copies
            WHERE backup = new.backup AND state = 'proven' AND orphaned IS NULL ORDER BY place))
    WHERE id = new.backup;
END;

CREATE TRIGGER copies_held_otherwise AFTER UPDATE OF place, state, orphaned ON copies
WHEN old.state = 'proven' OR new.state = 'proven'
BEGIN
    UPDATE backups SET held_in = (
        SELECT json_group_array(place) FROM (
            SELECT place FROM copies
            WHERE backup = new.backup AND state = 'proven' AND orphaned IS NULL ORDER BY place))
    WHERE id = new.backup;
END;

CREATE TRIGGER copies_held_no_longer AFTER DELETE ON copies
WHEN old.state = 'proven'
BEGIN
    UPDATE backups SET held_in = (
        SELECT json_group_array(place) FROM (
            SELECT place FROM copies
            WHERE backup = old.backup AND state = 'proven' AND orphaned IS NULL ORDER BY place))
    WHERE id = old.backup;
END;

-- The parts of uploads that have arrived: what the place answered, and the SHA-256 of each.
CREATE TABLE copy_parts (
    backup TEXT NOT NULL,
    place TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 10000),
    tag TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    PRIMARY KEY (backup, place, number)
) STRICT, WITHOUT ROWID;

-- Which disk a place was when it was used first, so that an empty mount point is not taken for it.
CREATE TABLE places (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    identity TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Places that could not be used when that was tried last: since when, and why.
CREATE TABLE place_troubles (
    place TEXT NOT NULL PRIMARY KEY CHECK (length(place) BETWEEN 1 AND 64),
    since INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The subfolder that backups go to: of one instance, or with '' of every instance of the project that
-- has no row of its own.
CREATE TABLE strategies (
    project TEXT NOT NULL,
    instance TEXT NOT NULL DEFAULT '' CHECK (length(instance) IN (0, 36)),
    container TEXT NOT NULL,
    PRIMARY KEY (project, instance)
) STRICT, WITHOUT ROWID;

-- What the schedule of an instance has done, so that a restart neither repeats a run nor loses one.
CREATE TABLE schedules (
    instance TEXT NOT NULL PRIMARY KEY CHECK (length(instance) = 36),
    -- When it was first seen: nothing was due before.
    since INTEGER NOT NULL,
    -- Every run until then is done with, or was made up for.
    handled INTEGER NOT NULL,
    -- The last backup that was made for it, and how many attempts that run had.
    backup TEXT CHECK (length(backup) = 36),
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    -- Why no backup could be begun for the last run, if so.
    refused TEXT,
    CHECK ((backup IS NULL) = (attempt = 0))
) STRICT, WITHOUT ROWID;

-- The clock as it was seen last, and when it was last seen to jump. One row.
CREATE TABLE clock (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seen INTEGER NOT NULL,
    jumped INTEGER
) STRICT;

-- What a project may have, where that differs from the configuration; -1: any number.
CREATE TABLE quotas (
    project TEXT NOT NULL,
    resource TEXT NOT NULL CHECK (resource IN ('backups', 'instances')),
    hard_limit INTEGER NOT NULL CHECK (hard_limit >= -1),
    PRIMARY KEY (project, resource)
) STRICT, WITHOUT ROWID;

-- Tokens that the server made itself. The secret is never here, only its SHA-256.
CREATE TABLE tokens (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    project TEXT,
    roles TEXT NOT NULL CHECK (json_valid(roles)),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was done, by whom and from where. Rows are only added: each holds the hash of its own content and of the
-- row before it, so that one that was altered or removed is noticed (`src/domain/event.rs`).
CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    at INTEGER NOT NULL,
    -- NULL: of no project, such as a token that nobody knows.
    project TEXT,
    who TEXT NOT NULL,
    origin TEXT NOT NULL,
    action TEXT NOT NULL,
    -- The id of what it was done to.
    object TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
    detail TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX events_by_project ON events (project, seq);
CREATE INDEX events_by_object ON events (object, seq) WHERE object IS NOT NULL;

-- Where the chain of hashes begins, which is the last event that was trimmed, and where it ends. One row.
CREATE TABLE event_chain (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    trimmed INTEGER NOT NULL CHECK (trimmed >= 0),
    trimmed_hash BLOB NOT NULL CHECK (length(trimmed_hash) = 32),
    last INTEGER NOT NULL CHECK (last >= trimmed),
    last_hash BLOB NOT NULL CHECK (length(last_hash) = 32)
) STRICT;

INSERT INTO event_chain (id, trimmed, trimmed_hash, last, last_hash)
VALUES (1, 0, zeroblob(32), 0, zeroblob(32));

CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;

CREATE TRIGGER events_stay BEFORE DELETE ON events
WHEN old.seq > (SELECT trimmed FROM event_chain)
BEGIN SELECT RAISE(ABORT, 'an event is only removed after the beginning of the chain was moved behind it'); END;

CREATE TRIGGER event_chain_goes_on BEFORE UPDATE ON event_chain
WHEN new.trimmed < old.trimmed OR new.last < old.last
BEGIN SELECT RAISE(ABORT, 'the chain of events only goes on'); END;

CREATE TRIGGER event_chain_stays BEFORE DELETE ON event_chain
BEGIN SELECT RAISE(ABORT, 'the chain of events is never removed'); END;

-- When an instance is backed up and what is kept, as it was set through the API: the keys of the configuration.
CREATE TABLE policies (
    instance TEXT NOT NULL PRIMARY KEY CHECK (length(instance) = 36),
    keys TEXT NOT NULL CHECK (json_valid(keys))
) STRICT, WITHOUT ROWID;

-- What is or was wrong, and was said: from the first message to that it is over. Those that are over stay for a while.
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    -- `ProblemKind` of src/policy/problem.rs.
    kind TEXT NOT NULL CHECK (kind <> ''),
    -- NULL: of the server as a whole.
    instance TEXT CHECK (length(instance) = 36),
    project TEXT,
    name TEXT,
    -- When the problem began, and when that was said first and last.
    since INTEGER NOT NULL,
    began INTEGER NOT NULL,
    said INTEGER NOT NULL,
    ended INTEGER,
    message TEXT NOT NULL,
    advice TEXT NOT NULL,
    -- The channels that heard of it, as a JSON list of names.
    channels TEXT NOT NULL CHECK (json_valid(channels)),
    CHECK ((instance IS NULL) = (project IS NULL)),
    CHECK ((instance IS NULL) = (name IS NULL))
) STRICT;

-- There is one of a kind and instance that is not over.
CREATE UNIQUE INDEX alerts_open ON alerts (kind, coalesce(instance, '')) WHERE ended IS NULL;
CREATE INDEX alerts_ended ON alerts (ended, id) WHERE ended IS NOT NULL;

-- Messages that wait to be delivered: one row for each and each channel. Those of a channel go in this order.
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY,
    -- The receiver may know by it that a message came twice.
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 36),
    channel TEXT NOT NULL CHECK (channel <> ''),
    -- `Message` of src/policy/message.rs, as JSON.
    message TEXT NOT NULL CHECK (json_valid(message)),
    queued INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_error TEXT
) STRICT;

CREATE INDEX deliveries_of_channel ON deliveries (channel, number);

-- When a channel got its last digest.
CREATE TABLE digests (
    channel TEXT NOT NULL PRIMARY KEY CHECK (channel <> ''),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How often what the health of an instance depends on was changed, whoever changed it: what was read of it before may
-- be used as long as this stays the same. The triggers count. The row of nothing counts what concerns every instance,
-- since what is damaged may be part of the chains of any.
CREATE TABLE instance_changes (
    instance TEXT NOT NULL PRIMARY KEY CHECK (length(instance) IN (0, 36)),
    changes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER instances_are_changed AFTER UPDATE ON instances
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (new.id, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER backups_are_added AFTER INSERT ON backups
WHEN new.instance IS NOT NULL
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (new.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER backups_are_changed AFTER UPDATE ON backups
BEGIN
    INSERT INTO instance_changes (instance, changes)
    SELECT instance, 1 FROM (
        SELECT old.instance AS instance
        UNION SELECT new.instance
        UNION SELECT '' WHERE old.damage_code IS NOT new.damage_code)
    WHERE instance IS NOT NULL
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER backups_are_removed AFTER DELETE ON backups
WHEN old.instance IS NOT NULL
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (old.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER runs_are_added AFTER INSERT ON runs
WHEN new.instance IS NOT NULL AND new.kind IN ('drill', 'staging')
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (new.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER runs_are_changed AFTER UPDATE ON runs
WHEN new.kind IN ('drill', 'staging')
BEGIN
    INSERT INTO instance_changes (instance, changes)
    SELECT instance, 1 FROM (SELECT old.instance AS instance UNION SELECT new.instance)
    WHERE instance IS NOT NULL
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER runs_are_removed AFTER DELETE ON runs
WHEN old.instance IS NOT NULL AND old.kind IN ('drill', 'staging')
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (old.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER copies_are_added AFTER INSERT ON copies
BEGIN
    INSERT INTO instance_changes (instance, changes)
    SELECT instance, 1 FROM backups WHERE id = new.backup AND instance IS NOT NULL
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER copies_are_changed
AFTER UPDATE OF backup, place, state, attempts, asked, failing, orphaned, failure_message ON copies
BEGIN
    INSERT INTO instance_changes (instance, changes)
    SELECT DISTINCT instance, 1 FROM backups WHERE id IN (old.backup, new.backup) AND instance IS NOT NULL
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER copies_are_removed AFTER DELETE ON copies
BEGIN
    INSERT INTO instance_changes (instance, changes)
    SELECT instance, 1 FROM backups WHERE id = old.backup AND instance IS NOT NULL
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER schedules_are_added AFTER INSERT ON schedules
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (new.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER schedules_are_changed AFTER UPDATE ON schedules
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (new.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER schedules_are_removed AFTER DELETE ON schedules
BEGIN
    INSERT INTO instance_changes (instance, changes) VALUES (old.instance, 1)
    ON CONFLICT (instance) DO UPDATE SET changes = changes + 1;
END;

-- One row: which catalog this is, and how many commits it has had. A file that has had fewer than the one that a server
-- opened was written over it.
CREATE TABLE written (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    catalog TEXT NOT NULL CHECK (length(catalog) = 32),
    commits INTEGER NOT NULL CHECK (commits >= 0)
);

INSERT INTO written VALUES (1, lower(hex(randomblob(16))), 0);

-- Places that hold the copies of many devices and are only read: when that was done last.
CREATE TABLE fleets (
    place TEXT NOT NULL PRIMARY KEY CHECK (length(place) BETWEEN 1 AND 64),
    -- Counts the readings of all of it, so that what one did not find is known to be gone.
    reading INTEGER NOT NULL DEFAULT 0 CHECK (reading >= 0),
    read INTEGER,
    read_whole INTEGER,
    -- Since when reading it fails, and why.
    failing INTEGER,
    why TEXT,
    -- Archives that have no row because their device has too many.
    left_out INTEGER NOT NULL DEFAULT 0 CHECK (left_out >= 0),
    CHECK ((failing IS NULL) = (why IS NULL))
) STRICT, WITHOUT ROWID;

-- The instances of devices. They have nothing to do with those of this server, whose ids may be the same.
CREATE TABLE fleet_instances (
    number INTEGER NOT NULL PRIMARY KEY,
    place TEXT NOT NULL,
    device TEXT NOT NULL CHECK (length(device) BETWEEN 1 AND 64),
    -- What its archives lie in: `<project>/[<container>/]<instance>`.
    folder TEXT NOT NULL,
    project TEXT NOT NULL,
    instance TEXT NOT NULL CHECK (length(instance) = 36),
    -- What a manifest calls it; or why none could be read.
    name TEXT,
    unread TEXT,
    backups INTEGER NOT NULL DEFAULT 0 CHECK (backups >= 0),
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    -- The file of its newest archive, when that was made, and by when there should be another one.
    newest TEXT,
    newest_at INTEGER,
    expected INTEGER,
    UNIQUE (place, device, folder)
) STRICT;

-- Those that are silent, the longest first.
CREATE INDEX fleet_instances_expected ON fleet_instances (expected, number) WHERE expected IS NOT NULL;

-- The backups of devices, by the names of their archives. `reading` is the last one of all that found it.
CREATE TABLE fleet_backups (
    instance INTEGER NOT NULL,
    id TEXT NOT NULL CHECK (length(id) = 36),
    kind TEXT NOT NULL CHECK (kind IN ('full', 'incremental')),
    encrypted INTEGER NOT NULL CHECK (encrypted IN (0, 1)),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    reading INTEGER NOT NULL,
    PRIMARY KEY (instance, id)
) STRICT, WITHOUT ROWID;
