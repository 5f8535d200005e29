DROP INDEX CONCURRENTLY users_roles_changed_at;
