CREATE INDEX backups_missing ON backups (id) WHERE damage_code = 'archive_missing';
