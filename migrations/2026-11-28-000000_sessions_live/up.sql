-- The live sessions of one user, which a sign-in counts, among however many that have ended. With
-- their ids, so that whatever looks for one of them by this index reads one: to the planner, which
-- knows neither user nor id, all indexes that begin with a user are as good. A refresh changes no
-- column of it, and stays a heap-only update.
CREATE INDEX CONCURRENTLY sessions_live ON sessions (user_id, id) WHERE revoked_at IS NULL;
