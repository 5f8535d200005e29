DROP INDEX CONCURRENTLY sessions_revoked_at;
