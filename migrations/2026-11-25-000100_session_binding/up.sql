ALTER TABLE sessions
    -- PAIR, or SINGLE: without a refresh token.
    ADD COLUMN token_mode             text     NOT NULL DEFAULT 'PAIR',
    -- What a refresh is to have in common with the sign-in, and what happens otherwise:
    -- NOTE, REFUSE or END.
    ADD COLUMN bound_user_agent       boolean  NOT NULL DEFAULT false,
    ADD COLUMN bound_ip_prefix_length smallint,
    ADD COLUMN binding_reaction       text,
    ADD CHECK ((binding_reaction IS NOT NULL) = (bound_user_agent OR bound_ip_prefix_length IS NOT NULL));
