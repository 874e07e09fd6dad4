-- One row: which catalog this is, and how many commits it has had. A file that has had fewer than the one that a server
-- opened was written over it.
CREATE TABLE written (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    catalog TEXT NOT NULL CHECK (length(catalog) = 32),
    commits INTEGER NOT NULL CHECK (commits >= 0)
);

INSERT INTO written VALUES (1, lower(hex(randomblob(16))), 0);
