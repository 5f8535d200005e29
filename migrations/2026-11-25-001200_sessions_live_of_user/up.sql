-- The live sessions of one user, which a sign-in counts, among however many that have ended. A
-- refresh changes neither column, and stays a heap-only update. Without IF NOT EXISTS: what a
-- step that failed leaves behind is an invalid index, which is not to pass for this one.
CREATE INDEX CONCURRENTLY sessions_live_of_user ON sessions (user_id) WHERE revoked_at IS NULL;
