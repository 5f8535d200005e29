-- Finds users by how a login begins, whatever the database's collation.
CREATE INDEX CONCURRENTLY user_logins_prefix ON user_logins (login text_pattern_ops);
