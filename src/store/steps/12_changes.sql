-- How often what the health of an instance depends on was changed.

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
