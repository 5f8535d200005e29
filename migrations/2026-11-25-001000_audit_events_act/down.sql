ALTER TABLE audit_events
    DROP COLUMN ip_address, DROP COLUMN request_id, DROP COLUMN actor_session_id, DROP COLUMN actor_id;
