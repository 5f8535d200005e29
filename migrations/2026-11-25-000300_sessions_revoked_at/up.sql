-- The sessions that ended lately. A refresh does not change the column, and stays a
-- heap-only update.
CREATE INDEX CONCURRENTLY sessions_revoked_at ON sessions (revoked_at) INCLUDE (user_id, id)
    WHERE revoked_at IS NOT NULL;
