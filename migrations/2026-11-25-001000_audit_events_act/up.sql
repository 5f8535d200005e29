-- Whoever writes waits behind it for as long as it waits itself: better that it fails, and is
-- run again.
SET LOCAL lock_timeout = '2s';

-- Who did it, and by which call. An id is made by the database, and its time is that of the
-- transaction: UUIDs of version 7, so that one index orders events and finds a range of time.
ALTER TABLE audit_events
    -- An operator, or for what the command line did around a server, the nil UUID. NULL for
    -- what users do themselves.
    ADD COLUMN actor_id         uuid,
    ADD COLUMN actor_session_id uuid,
    ADD COLUMN request_id       text NOT NULL DEFAULT '',
    ADD COLUMN ip_address       inet;
