DROP INDEX CONCURRENTLY user_logins_prefix;
