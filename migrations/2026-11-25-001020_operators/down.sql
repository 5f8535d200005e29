DROP TABLE session_stats;
DROP TABLE password_reset_tokens;
DELETE FROM user_logins WHERE typed IS NOT NULL;
ALTER TABLE user_logins DROP COLUMN created_at, DROP COLUMN typed, DROP COLUMN kind;
DROP TABLE user_sign_ins;
DROP INDEX audit_events_actor, audit_events_session, audit_events_kind, audit_events_id;
ALTER TABLE audit_events
    DROP COLUMN ip_address, DROP COLUMN request_id, DROP COLUMN actor_session_id, DROP COLUMN actor_id;
