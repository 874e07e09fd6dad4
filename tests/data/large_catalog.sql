-- A catalog of a thousand instances with a hundred backups each; one in ten is damaged, and has an alert. The first one has
-- 300 full backups, a hundred of them in the trash, and two hundred drills; of the second, 299 are built on the first.
-- Both the tests and the bench of the console use it.
PRAGMA synchronous = OFF;
BEGIN;

WITH RECURSIVE is_(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM is_ WHERE i < 1000)
INSERT OR IGNORE INTO instances (id, project, name, engine, version, source, check_level, status, created, updated)
SELECT printf('%08x-0000-4000-8000-000000000000', i), 'project-a', 'shop number ' || i, 'mysql', '8.0', '{}', 'quick',
    'ACTIVE', 1, 1
FROM is_;

WITH RECURSIVE is_(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM is_ WHERE i < 1000),
    ns(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 300),
    points(i, n, backup, instance, root, at, trashed) AS (
        SELECT i, n, printf('%08x-%04x-7000-8000-000000000000', i, n), printf('%08x-0000-4000-8000-000000000000', i),
            iif(i = 2 AND n > 1, '00000002-0001-7000-8000-000000000000', NULL), 1795000000000000 + n * 1000000,
            i = 1 AND n > 200
        FROM is_, ns WHERE n <= 100 OR i IN (1, 2))
INSERT INTO backups (id, project, instance, name, task, kind, parent, status, engine, version, created, updated,
    location, size, source_bytes, checksum, verified_at, verify_level, removal, trashed)
SELECT backup, 'project-a', instance, 'nightly ' || i || ' ' || n, 'backup',
    iif(root IS NULL, 'full', 'incremental'), root, 'COMPLETED', 'mysql', '8.0', at, at,
    'project-a/' || instance || '/' || backup || '.tar.zst', 5000000 + n * i, 70000000 + i, hex(randomblob(32)),
    at, 'checked', iif(trashed, 'claimed', NULL), iif(trashed, 1795000000000000, NULL)
FROM points;

UPDATE backups SET damage_code = 'archive_damaged', damage_in = 'archive',
    damage_message = 'the archive ' || location || ' differs from its checksum'
WHERE id LIKE '%-0064-7000-%' AND instance LIKE '%0-0000-4000-8000-000000000000';

WITH RECURSIVE ns(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 300)
INSERT INTO runs (id, kind, project, instance, backup, asked, begun, ended, result, numbers)
SELECT printf('%08x-0000-4000-a000-000000000000', n), 'drill', 'project-a', '00000001-0000-4000-8000-000000000000',
    printf('00000001-%04x-7000-8000-000000000000', n), n, n, 1795000000000000 + n, 'done',
    (SELECT json_object('took_ms', 5,
            'drill', json_object('version', '8.0', 'check', 'CHECK TABLE', 'tables', 300, 'rows', 9),
            'rows_by_table', json_group_object('shop.table_' || t.n, t.n))
     FROM ns AS t)
FROM ns WHERE n <= 200;

WITH RECURSIVE is_(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM is_ WHERE i < 1000)
INSERT INTO alerts (id, kind, instance, project, name, since, began, said, ended, message, advice, channels)
SELECT printf('%08x-0000-4000-b000-000000000000', i), 'damaged', printf('%08x-0000-4000-8000-000000000000', i),
    'project-a', 'shop number ' || i, 1795000000000000, 1795000000000000, 1795000000000000,
    iif(i < 500, NULL, 1795000000000000 + i), 'a backup is damaged or missing ' || i, 'make a full backup now', '[]'
FROM is_;

WITH RECURSIVE is_(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM is_ WHERE i < 1000)
INSERT INTO events (seq, at, project, who, origin, action, outcome, detail, hash)
SELECT i + (SELECT last FROM event_chain), 1795000000000000 + i, 'project-a', 'alice', '127.0.0.1', 'backup_create',
    'done', 'n', zeroblob(32)
FROM is_;
UPDATE event_chain SET last = last + 1000;
COMMIT;
