DROP TABLE superseded_tokens;
ALTER TABLE users DROP COLUMN roles_changed_at;
