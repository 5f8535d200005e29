-- When the roles were last changed: tokens made before show others.
ALTER TABLE users ADD COLUMN roles_changed_at timestamptz;

-- Where only the newest access token of a session counts: which one that is, one row per
-- session, kept while an earlier token can live. A table of its own, since `sessions` has
-- no index on what a refresh changes.
CREATE TABLE superseded_tokens (
    user_id       uuid        NOT NULL,
    session_id    uuid        NOT NULL,
    -- The first generation whose token counts.
    generation    bigint      NOT NULL,
    superseded_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, session_id)
) WITH (fillfactor = 70);

CREATE INDEX superseded_tokens_superseded_at ON superseded_tokens (superseded_at);
