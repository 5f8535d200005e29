DROP INDEX CONCURRENTLY audit_events_session;
