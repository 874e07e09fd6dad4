-- What health reads of the backups of an instance, so that it takes no longer the more of them there are.

-- How long it took to make, if that is known.
ALTER TABLE backups ADD COLUMN took_ms INTEGER CHECK (took_ms >= 0);

UPDATE backups SET took_ms = (
    SELECT json_extract(numbers, '$.took_ms') FROM runs
    WHERE runs.backup = backups.id AND runs.kind = 'backup' AND runs.result = 'done'
    ORDER BY runs.ended DESC LIMIT 1)
WHERE status = 'COMPLETED';

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

INSERT INTO instance_totals (instance, project, backups, stored_bytes)
SELECT instance, project, count(*), sum(size) FROM backups
WHERE status = 'COMPLETED' AND removal IS NULL AND instance IS NOT NULL GROUP BY instance, project;

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

-- Copies say since when they wait and fail, and until when a store keeps them locked. A place may keep them for longer or
-- shorter than the data directory keeps the archives.

CREATE TABLE copies_10 (
    backup TEXT NOT NULL CHECK (length(backup) = 36),
    place TEXT NOT NULL CHECK (length(place) BETWEEN 1 AND 64),
    parent TEXT CHECK (length(parent) = 36),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'copying', 'proven', 'failed', 'expired')),
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
    asked INTEGER NOT NULL,
    failing INTEGER,
    locked_until INTEGER,
    PRIMARY KEY (backup, place),
    CHECK ((upload IS NULL) = (part_bytes IS NULL)),
    CHECK ((proven_at IS NULL) = (proven_by IS NULL)),
    CHECK ((state = 'proven') = (proven_at IS NOT NULL)),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO copies_10 (backup, place, parent, state, location, upload, part_bytes, sent, attempts, due, proven_at,
    proven_by, failure_code, failure_message, orphaned, asked, failing)
SELECT backup, place, parent, state, location, upload, part_bytes, sent, attempts, due, proven_at, proven_by,
    failure_code, failure_message, orphaned, due, CASE WHEN state = 'failed' THEN due END
FROM copies;
DROP TABLE copies;
ALTER TABLE copies_10 RENAME TO copies;
CREATE INDEX copies_waiting ON copies (place, due, backup)
    WHERE state IN ('waiting', 'failed') AND orphaned IS NULL;
CREATE INDEX copies_running ON copies (state) WHERE state = 'copying';
CREATE INDEX copies_orphaned ON copies (place, orphaned) WHERE orphaned IS NOT NULL;
CREATE INDEX copies_of_place ON copies (place, state, sent, proven_at);

-- Places that could not be used when that was tried last: since when, and why.
CREATE TABLE place_troubles (
    place TEXT NOT NULL PRIMARY KEY CHECK (length(place) BETWEEN 1 AND 64),
    since INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether the archive lies in the data directory: it does, it is to go because its copies are proven, or it went.
ALTER TABLE backups ADD COLUMN here TEXT NOT NULL DEFAULT 'yes' CHECK (here IN ('yes', 'leaving', 'no'));
CREATE INDEX backups_leaving ON backups (created, id) WHERE here = 'leaving';
