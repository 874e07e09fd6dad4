ALTER TABLE backups ADD COLUMN trashed INTEGER;
CREATE INDEX backups_trashed ON backups (trashed) WHERE trashed IS NOT NULL;
