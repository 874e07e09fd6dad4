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
