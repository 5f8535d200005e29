-- The users whose roles changed lately.
CREATE INDEX CONCURRENTLY users_roles_changed_at ON users (roles_changed_at)
    WHERE roles_changed_at IS NOT NULL;
