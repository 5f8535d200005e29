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
