-- Sign-ins wait behind it for as long as it waits itself: better that it fails, and is run
-- again.
SET LOCAL lock_timeout = '2s';

-- Besides the login that a user was created with: emails and telephone numbers.
ALTER TABLE user_logins
    -- USERNAME, EMAIL or PHONE.
    ADD COLUMN kind       text        NOT NULL DEFAULT 'USERNAME',
    -- As it was typed; NULL for the login of the user's row.
    ADD COLUMN typed      text,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
