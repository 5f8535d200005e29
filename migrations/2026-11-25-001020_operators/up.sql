-- Who did it, and by which call. An id is made by the database, and its time is that of the
-- transaction: UUIDs of version 7, so that one index orders events and finds a range of time.
ALTER TABLE audit_events
    -- An operator, or for what the command line did around a server, the nil UUID. NULL for
    -- what users do themselves.
    ADD COLUMN actor_id         uuid,
    ADD COLUMN actor_session_id uuid,
    ADD COLUMN request_id       text NOT NULL DEFAULT '',
    ADD COLUMN ip_address       inet;

CREATE INDEX audit_events_id ON audit_events (id);
CREATE INDEX audit_events_kind ON audit_events (kind, id);
CREATE INDEX audit_events_session ON audit_events (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_events_actor ON audit_events (actor_id, id) WHERE actor_id IS NOT NULL;

-- How a user's sign-ins go: one row per user, changed in place. Whoever has none, since
-- nobody has the login, is counted in one of 256 rows of no user, so that it takes as long.
CREATE TABLE user_sign_ins (
    user_id   uuid        PRIMARY KEY,
    -- Passwords whose check has begun since the last right one. Counted before the check,
    -- so that no number of replicas checks more than the limit. 100 where no more are checked.
    attempts  integer     NOT NULL,
    -- Those that were found wrong.
    failures  integer     NOT NULL,
    -- When the last was found wrong or, where they bring a delay, when a check began.
    failed_at timestamptz,
    -- How many sessions were opened: tells a sign-in whether another came in between.
    opened    bigint      NOT NULL
) WITH (fillfactor = 50);

-- Besides the login that a user was created with: emails and telephone numbers.
ALTER TABLE user_logins
    -- USERNAME, EMAIL or PHONE.
    ADD COLUMN kind       text        NOT NULL DEFAULT 'USERNAME',
    -- As it was typed; NULL for the login of the user's row.
    ADD COLUMN typed      text,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();

-- One per user; the token itself is in no database.
CREATE TABLE password_reset_tokens (
    user_id    uuid        PRIMARY KEY,
    id         uuid        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- One row: what GetSessionStats answers, counted anew by one replica at a time.
CREATE TABLE session_stats (
    id          smallint    PRIMARY KEY CHECK (id = 1),
    -- When a replica last began to count, and what the last one that finished saw.
    begun_at    timestamptz NOT NULL,
    computed_at timestamptz,
    stats       jsonb,
    -- How long the last count took, done or given up: the next waits many times as long.
    took        interval
);

INSERT INTO session_stats (id, begun_at) VALUES (1, '-infinity');
