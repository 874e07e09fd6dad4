-- Schema 1 to 2: drills.

ALTER TABLE instances ADD COLUMN verify TEXT NOT NULL DEFAULT 'archive'
    CHECK (verify IN ('archive', 'restore'));

ALTER TABLE backups ADD COLUMN damage_in TEXT CHECK (damage_in IN ('archive', 'data'));
ALTER TABLE backups ADD COLUMN drill TEXT
    CHECK (drill IS NULL OR drill IN ('asked', 'claimed') AND status IN ('COMPLETED', 'RESTORED'));
ALTER TABLE backups ADD COLUMN drill_at INTEGER;
ALTER TABLE backups ADD COLUMN drill_ms INTEGER CHECK (drill_ms >= 0);
ALTER TABLE backups ADD COLUMN drill_version TEXT;
ALTER TABLE backups ADD COLUMN drill_check TEXT;
ALTER TABLE backups ADD COLUMN drill_tables INTEGER CHECK (drill_tables >= 0);
ALTER TABLE backups ADD COLUMN drill_rows INTEGER CHECK (drill_rows >= 0);
ALTER TABLE backups ADD COLUMN drill_rows_by_table TEXT CHECK (json_valid(drill_rows_by_table));
ALTER TABLE backups ADD COLUMN drill_failure_code TEXT;
ALTER TABLE backups ADD COLUMN drill_failure_message TEXT
    CHECK ((drill_failure_code IS NULL) = (drill_failure_message IS NULL));

CREATE INDEX backups_to_drill ON backups (drill, created, id) WHERE drill IS NOT NULL;
