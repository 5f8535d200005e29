-- Keys whose private half is erased are of no use to the release before.
DELETE FROM signing_keys WHERE state <> 'active';
DROP INDEX signing_keys_next;
ALTER TABLE signing_keys
    DROP COLUMN sealed_public,
    DROP COLUMN activated_at,
    DROP COLUMN retired_at,
    DROP COLUMN expires_at,
    DROP COLUMN dropped;
