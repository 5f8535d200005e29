DROP INDEX CONCURRENTLY audit_events_actor;
