ALTER TABLE sessions
    DROP COLUMN token_mode,
    DROP COLUMN bound_user_agent,
    DROP COLUMN bound_ip_prefix_length,
    DROP COLUMN binding_reaction;
