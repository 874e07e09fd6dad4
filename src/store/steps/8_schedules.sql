ALTER TABLE backups ADD COLUMN pinned INTEGER;
CREATE TABLE schedules (
    instance TEXT NOT NULL PRIMARY KEY CHECK (length(instance) = 36),
    since INTEGER NOT NULL,
    handled INTEGER NOT NULL,
    backup TEXT CHECK (length(backup) = 36),
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    CHECK ((backup IS NULL) = (attempt = 0))
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seen INTEGER NOT NULL,
    jumped INTEGER
) STRICT;
