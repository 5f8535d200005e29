DELETE FROM user_logins WHERE typed IS NOT NULL;
ALTER TABLE user_logins DROP COLUMN created_at, DROP COLUMN typed, DROP COLUMN kind;
