-- Which places hold proven copies of a backup, and how many backups lie in exactly the same places.

ALTER TABLE backups ADD COLUMN held_in TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(held_in));

CREATE TABLE holdings (
    instance TEXT NOT NULL CHECK (length(instance) = 36),
    project TEXT NOT NULL,
    here INTEGER NOT NULL CHECK (here IN (0, 1)),
    held_in TEXT NOT NULL CHECK (json_valid(held_in)),
    backups INTEGER NOT NULL,
    PRIMARY KEY (instance, project, here, held_in)
) STRICT, WITHOUT ROWID;

UPDATE backups SET held_in = (
    SELECT json_group_array(place) FROM (
        SELECT place FROM copies
        WHERE backup = backups.id AND state = 'proven' AND orphaned IS NULL ORDER BY place))
WHERE id IN (SELECT backup FROM copies WHERE state = 'proven' AND orphaned IS NULL);

INSERT INTO holdings (instance, project, here, held_in, backups)
SELECT instance, project, here <> 'no', held_in, count(*) FROM backups
WHERE status = 'COMPLETED' AND removal IS NULL AND instance IS NOT NULL AND (here = 'no' OR held_in <> '[]')
GROUP BY 1, 2, 3, 4;

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
