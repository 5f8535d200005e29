CREATE INDEX CONCURRENTLY sessions_live_of_user ON sessions (user_id) WHERE revoked_at IS NULL;
