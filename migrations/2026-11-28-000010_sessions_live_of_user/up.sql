-- A refresh that was planned with it read all live sessions of its user.
DROP INDEX CONCURRENTLY IF EXISTS sessions_live_of_user;
