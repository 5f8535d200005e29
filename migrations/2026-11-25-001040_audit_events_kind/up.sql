-- The events of a kind, in their order.
CREATE INDEX CONCURRENTLY audit_events_kind ON audit_events (kind, id);
