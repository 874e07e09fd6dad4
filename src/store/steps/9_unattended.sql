-- Schedules, alerts and events: what runs by itself, and what was said and done.

ALTER TABLE schedules ADD COLUMN refused TEXT;

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

-- Restores into staging, consolidations and copies are runs too.
CREATE TABLE runs_9 (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind TEXT NOT NULL CHECK (kind IN ('backup', 'registration', 'restore', 'drill', 'verify', 'removal',
                                       'instance_removal', 'staging', 'consolidation', 'copy')),
    project TEXT NOT NULL,
    instance TEXT CHECK (length(instance) = 36),
    backup TEXT CHECK (length(backup) = 36),
    asked INTEGER NOT NULL,
    begun INTEGER,
    ended INTEGER,
    result TEXT CHECK (result IN ('done', 'failed', 'damaged', 'cancelled', 'interrupted')),
    failure_code TEXT,
    failure_message TEXT,
    numbers TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(numbers)),
    expires INTEGER,
    CHECK (instance IS NOT NULL OR backup IS NOT NULL),
    CHECK ((ended IS NULL) = (result IS NULL)),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((failure_code IS NOT NULL) = (coalesce(result, '') IN ('failed', 'damaged')))
) STRICT;
INSERT INTO runs_9 (id, kind, project, instance, backup, asked, begun, ended, result, failure_code, failure_message, numbers,
    expires)
SELECT id, kind, project, instance, backup, asked, begun, ended, result, failure_code, failure_message, numbers,
    expires
FROM runs;
DROP TABLE runs;
ALTER TABLE runs_9 RENAME TO runs;
CREATE INDEX runs_of_backup ON runs (backup, kind, ended, id) WHERE backup IS NOT NULL;
CREATE INDEX runs_drills ON runs (backup, ended, id) WHERE kind = 'drill';
CREATE INDEX runs_of_instance ON runs (instance, ended, id) WHERE instance IS NOT NULL;
CREATE INDEX runs_recurring ON runs (instance, kind, ended, id) WHERE kind IN ('drill', 'staging');
CREATE UNIQUE INDEX runs_open ON runs (kind, coalesce(backup, ''), coalesce(instance, ''))
    WHERE ended IS NULL;
CREATE INDEX runs_waiting ON runs (kind, asked, id) WHERE ended IS NULL AND begun IS NULL;
CREATE INDEX runs_expiring ON runs (expires) WHERE expires IS NOT NULL;
CREATE INDEX backups_proven ON backups (instance, verified_at, id)
    WHERE verified_at IS NOT NULL AND removal IS NULL;

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

CREATE TABLE copies (
    backup TEXT NOT NULL CHECK (length(backup) = 36),
    place TEXT NOT NULL CHECK (length(place) BETWEEN 1 AND 64),
    parent TEXT CHECK (length(parent) = 36),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'copying', 'proven', 'failed')),
    location TEXT NOT NULL,
    upload TEXT,
    part_bytes INTEGER CHECK (part_bytes > 0),
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent >= 0),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due INTEGER NOT NULL,
    proven_at INTEGER,
    proven_by TEXT CHECK (proven_by IN ('read_back', 'store_checksum')),
    failure_code TEXT,
    failure_message TEXT,
    orphaned INTEGER,
    PRIMARY KEY (backup, place),
    CHECK ((upload IS NULL) = (part_bytes IS NULL)),
    CHECK ((proven_at IS NULL) = (proven_by IS NULL)),
    CHECK ((state = 'proven') = (proven_at IS NOT NULL)),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX copies_waiting ON copies (place, due, backup)
    WHERE state IN ('waiting', 'failed') AND orphaned IS NULL;
CREATE INDEX copies_running ON copies (state) WHERE state = 'copying';
CREATE INDEX copies_orphaned ON copies (place, orphaned) WHERE orphaned IS NOT NULL;
CREATE TABLE copy_parts (
    backup TEXT NOT NULL,
    place TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 10000),
    tag TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    PRIMARY KEY (backup, place, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE places (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    identity TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Backups that are damaged or missing, of each instance the newest first.
CREATE INDEX backups_bad ON backups (instance, created, id) WHERE damage_code IS NOT NULL;
