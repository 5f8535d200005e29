-- Keys are UUIDv7 made by the server; there are no sequences, triggers or stored
-- procedures, so that the schema also runs on distributed engines.

CREATE TABLE users (
    id                   uuid        PRIMARY KEY,
    -- The login as it was typed; user_logins has the form that is matched.
    login                text        NOT NULL,
    display_name         text        NOT NULL,
    roles                text[]      NOT NULL,
    -- A PHC string.
    password_hash        text        NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    disabled_at          timestamptz,
    -- Sessions created before this time are ended, whatever their rows say.
    sessions_valid_after timestamptz NOT NULL
);

-- A table of its own, so that a sharded engine can keep the login unique.
CREATE TABLE user_logins (
    -- The PRECIS UsernameCaseMapped form (RFC 8265).
    login   text PRIMARY KEY,
    user_id uuid NOT NULL
);

CREATE INDEX user_logins_user ON user_logins (user_id);

-- One row per device session, changed in place by every refresh. The room left
-- in each page, and no index on a column that a refresh changes, keep those
-- updates heap-only: the table does not grow with use.
CREATE TABLE sessions (
    user_id             uuid        NOT NULL,
    id                  uuid        NOT NULL,
    client_id           text        NOT NULL,
    device_id           text,
    display_name        text        NOT NULL,
    user_agent          text        NOT NULL,
    ip_address          inet,
    created_at          timestamptz NOT NULL,
    absolute_expires_at timestamptz NOT NULL,
    -- What a refresh changes.
    generation          bigint      NOT NULL,
    h_current           bytea       NOT NULL,
    h_previous          bytea,
    rotated_at          timestamptz NOT NULL,
    last_seen_at        timestamptz NOT NULL,
    last_user_agent     text        NOT NULL,
    last_ip_address     inet,
    idle_expires_at     timestamptz NOT NULL,
    -- What ending it sets, once.
    revoked_at          timestamptz,
    end_reason          text,
    PRIMARY KEY (user_id, id),
    CHECK (generation BETWEEN 0 AND 4294967295),
    CHECK (octet_length(h_current) = 16 AND octet_length(h_previous) = 16),
    CHECK ((revoked_at IS NULL) = (end_reason IS NULL))
) WITH (fillfactor = 70);

-- Lists of all users' sessions, newest first, and look-ups by session id alone.
CREATE INDEX sessions_id ON sessions (id);

-- Two sign-ins on one device at once leave one live session.
CREATE UNIQUE INDEX sessions_live_device ON sessions (user_id, client_id, device_id)
    WHERE revoked_at IS NULL AND device_id IS NOT NULL;

-- What happened to sessions, written with the change that it tells of: the reuse of a
-- refresh token.
CREATE TABLE audit_events (
    user_id    uuid        NOT NULL,
    id         uuid        NOT NULL,
    session_id uuid,
    created_at timestamptz NOT NULL,
    kind       text        NOT NULL,
    detail     jsonb       NOT NULL,
    PRIMARY KEY (user_id, id)
);

-- Keys that sign access tokens. The private half is sealed under a key that is
-- not in the database.
CREATE TABLE signing_keys (
    kid            text        PRIMARY KEY,
    algorithm      text        NOT NULL,
    public_key     bytea       NOT NULL,
    sealed_private bytea       NOT NULL,
    state          text        NOT NULL,
    created_at     timestamptz NOT NULL
);

-- However many replicas start at once, one key becomes active.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (state) WHERE state = 'active';
