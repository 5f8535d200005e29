DROP TABLE signing_keys;
DROP TABLE audit_events;
DROP TABLE sessions;
DROP TABLE user_logins;
DROP TABLE users;
