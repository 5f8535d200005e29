DROP INDEX CONCURRENTLY sessions_live_of_user;
