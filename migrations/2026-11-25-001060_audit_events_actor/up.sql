-- What an operator did, in its order.
CREATE INDEX CONCURRENTLY audit_events_actor ON audit_events (actor_id, id)
    WHERE actor_id IS NOT NULL;
