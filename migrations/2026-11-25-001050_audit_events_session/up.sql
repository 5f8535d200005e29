-- The events of a session, in their order.
CREATE INDEX CONCURRENTLY audit_events_session ON audit_events (session_id, id)
    WHERE session_id IS NOT NULL;
