-- Days are text (2026-03-09), moments are seconds since 1970, both in UTC.

CREATE TABLE orgs (
    name  TEXT PRIMARY KEY,
    label TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE people (
    name      TEXT PRIMARY KEY,
    display   TEXT NOT NULL,
    org       TEXT NOT NULL REFERENCES orgs,
    role      TEXT NOT NULL CHECK (role IN ('owner', 'member', 'viewer')),
    signature TEXT NOT NULL DEFAULT '',
    theme     TEXT NOT NULL DEFAULT 'auto' CHECK (theme IN ('auto', 'light', 'dark'))
) STRICT, WITHOUT ROWID;

-- A row per login. `token` is the secret that a browser or an AI shows; `id` names the login everywhere else.
CREATE TABLE logins (
    token       TEXT PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    person      TEXT NOT NULL REFERENCES people,
    development INTEGER NOT NULL,
    expires     INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    owner    TEXT NOT NULL REFERENCES people,
    title    TEXT NOT NULL,
    done     INTEGER NOT NULL DEFAULT 0,
    due      TEXT,
    priority INTEGER NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 2)
) STRICT;
CREATE INDEX tasks_in_order ON tasks (owner, done, due IS NULL, due, priority DESC, id);

CREATE TABLE messages (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    owner    TEXT NOT NULL REFERENCES people,
    sender   TEXT NOT NULL,
    -- The sender's name when the sender has a desk here, so that a reply arrives there.
    colleague TEXT REFERENCES people,
    subject  TEXT NOT NULL,
    body     TEXT NOT NULL,
    received INTEGER NOT NULL,
    unread   INTEGER NOT NULL DEFAULT 1,
    archived INTEGER NOT NULL DEFAULT 0,
    replied  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX messages_in_order ON messages (owner, archived, received DESC, id DESC);

CREATE TABLE board_columns (
    org      TEXT NOT NULL REFERENCES orgs,
    id       TEXT NOT NULL,
    label    TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE cards (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    org     TEXT NOT NULL,
    stage   TEXT NOT NULL,
    title   TEXT NOT NULL,
    author  TEXT NOT NULL REFERENCES people,
    -- The card moved last stands last in its column.
    moved   INTEGER NOT NULL,
    FOREIGN KEY (org, stage) REFERENCES board_columns (org, id)
) STRICT;
CREATE INDEX cards_in_order ON cards (org, moved, id);

CREATE TABLE exports (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    owner   TEXT NOT NULL REFERENCES people,
    created INTEGER NOT NULL,
    rows    INTEGER NOT NULL,
    csv     TEXT NOT NULL
) STRICT;
CREATE INDEX exports_in_order ON exports (owner, id);
