-- A key is `next`, `active`, `retiring`, then `gone`; its private half is erased when it
-- stops signing.
ALTER TABLE signing_keys
    -- The public half of a key that is retiring, sealed: without a private half to derive
    -- it from, whoever writes into the database could add a key that verifies.
    ADD COLUMN sealed_public bytea,
    ADD COLUMN activated_at  timestamptz,
    ADD COLUMN retired_at    timestamptz,
    -- From when on it is not published: set when it stops signing.
    ADD COLUMN expires_at    timestamptz,
    -- Whether it was dropped in an emergency, with its tokens.
    ADD COLUMN dropped       boolean NOT NULL DEFAULT false;

UPDATE signing_keys SET activated_at = created_at WHERE state = 'active';

-- However many replicas rotate at once, one key is the next.
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (state) WHERE state = 'next';
