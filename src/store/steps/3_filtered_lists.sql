-- Schema 2 to 3: lists with a filter find their rows by an index.

CREATE INDEX backups_by_project_status ON backups (project, status, created, id);
CREATE INDEX backups_by_project_engine ON backups (project, engine, created, id);
CREATE INDEX backups_by_instance_status ON backups (instance, status, created, id);
CREATE INDEX backups_by_status ON backups (status, created, id);
CREATE INDEX backups_by_engine ON backups (engine, created, id);
DROP INDEX backups_completed;
