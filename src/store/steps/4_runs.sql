-- Schema 3 to 4: runs. What is under way becomes an open run, the last drill of a backup an ended one.

CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind TEXT NOT NULL CHECK (kind IN ('backup', 'registration', 'restore', 'drill', 'verify', 'removal',
                                       'instance_removal')),
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
CREATE INDEX runs_of_backup ON runs (backup, kind, ended, id) WHERE backup IS NOT NULL;
CREATE INDEX runs_drills ON runs (backup, ended, id) WHERE kind = 'drill';
CREATE INDEX runs_of_instance ON runs (instance, ended, id) WHERE instance IS NOT NULL;
CREATE UNIQUE INDEX runs_open ON runs (kind, coalesce(backup, ''), coalesce(instance, ''))
    WHERE ended IS NULL;
CREATE INDEX runs_waiting ON runs (kind, asked, id) WHERE ended IS NULL AND begun IS NULL;
CREATE INDEX runs_expiring ON runs (expires) WHERE expires IS NOT NULL;

-- The ids are UUIDs of version 7, as those that the program makes.
INSERT INTO runs (id, kind, project, instance, backup, asked, begun)
SELECT lower(substr(printf('%012x', created / 1000), 1, 8) || '-' || substr(printf('%012x', created / 1000), 9, 4) || '-7'
        || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1)
        || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    task, project, instance, id, created, CASE WHEN status <> 'NEW' THEN updated END
FROM backups WHERE status IN ('NEW', 'BUILDING', 'SAVING');

INSERT INTO runs (id, kind, project, instance, backup, asked, begun)
SELECT lower(substr(printf('%012x', updated / 1000), 1, 8) || '-' || substr(printf('%012x', updated / 1000), 9, 4) || '-7'
        || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1)
        || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    'removal', project, instance, id, updated, CASE WHEN removal = 'claimed' THEN updated END
FROM backups WHERE removal IN ('asked', 'claimed');

INSERT INTO runs (id, kind, project, instance, backup, asked, begun)
SELECT lower(substr(printf('%012x', updated / 1000), 1, 8) || '-' || substr(printf('%012x', updated / 1000), 9, 4) || '-7'
        || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1)
        || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    'drill', project, instance, id, updated, CASE WHEN drill = 'claimed' THEN updated END
FROM backups WHERE drill IS NOT NULL;

INSERT INTO runs (id, kind, project, instance, backup, asked, begun)
SELECT lower(substr(printf('%012x', updated / 1000), 1, 8) || '-' || substr(printf('%012x', updated / 1000), 9, 4) || '-7'
        || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1)
        || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    CASE WHEN restore IS NOT NULL THEN 'restore' ELSE 'instance_removal' END,
    project, id, CASE WHEN restore IS NOT NULL THEN restored_from END, updated,
    CASE WHEN 'claimed' IN (restore, removal) THEN updated END
FROM instances WHERE restore IS NOT NULL OR removal IS NOT NULL;

INSERT INTO runs (id, kind, project, instance, backup, asked, begun, ended, result, failure_code,
    failure_message, numbers)
SELECT lower(substr(printf('%012x', drill_at / 1000), 1, 8) || '-' || substr(printf('%012x', drill_at / 1000), 9, 4) || '-7'
        || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + abs(random() % 4), 1)
        || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    'drill', project, instance, id, drill_at - coalesce(drill_ms, 0) * 1000,
    drill_at - coalesce(drill_ms, 0) * 1000, drill_at,
    CASE WHEN drill_failure_code IS NULL THEN 'done'
         WHEN drill_failure_code IN ('archive_damaged', 'source_damaged') THEN 'damaged'
         ELSE 'failed' END,
    drill_failure_code, drill_failure_message,
    CASE WHEN drill_failure_code IS NULL
         THEN json_object('took_ms', coalesce(drill_ms, 0), 'drill', json_object(
             'version', coalesce(drill_version, ''), 'check', coalesce(drill_check, ''),
             'tables', coalesce(drill_tables, 0), 'rows', coalesce(drill_rows, 0)),
             'rows_by_table', json(coalesce(drill_rows_by_table, '{}')))
         ELSE json_object('took_ms', coalesce(drill_ms, 0)) END
FROM backups WHERE drill_at IS NOT NULL;

DROP INDEX backups_to_drill;
ALTER TABLE backups DROP COLUMN drill;
ALTER TABLE backups DROP COLUMN drill_at;
ALTER TABLE backups DROP COLUMN drill_ms;
ALTER TABLE backups DROP COLUMN drill_version;
ALTER TABLE backups DROP COLUMN drill_check;
ALTER TABLE backups DROP COLUMN drill_tables;
ALTER TABLE backups DROP COLUMN drill_rows;
ALTER TABLE backups DROP COLUMN drill_rows_by_table;
ALTER TABLE backups DROP COLUMN drill_failure_message;
ALTER TABLE backups DROP COLUMN drill_failure_code;
ALTER TABLE backups ADD COLUMN storage TEXT NOT NULL DEFAULT 'local'
    CHECK (length(storage) BETWEEN 1 AND 64);
