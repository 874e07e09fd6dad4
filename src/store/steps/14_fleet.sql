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
