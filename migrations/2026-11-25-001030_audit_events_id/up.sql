-- Events in their order, and those of a range of time.
CREATE INDEX CONCURRENTLY audit_events_id ON audit_events (id);
