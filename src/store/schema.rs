//! The tables, as `migrations/` makes them.

diesel::table! {
    users (id) {
        id -> Uuid,
        login -> Text,
        display_name -> Text,
        roles -> Array<Text>,
        password_hash -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
        sessions_valid_after -> Timestamptz,
        roles_changed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    user_logins (login) {
        login -> Text,
        user_id -> Uuid,
    }
}

diesel::table! {
    password_reset_tokens (user_id) {
        user_id -> Uuid,
        id -> Uuid,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (user_id, id) {
        user_id -> Uuid,
        id -> Uuid,
        client_id -> Text,
        device_id -> Nullable<Text>,
        display_name -> Text,
        user_agent -> Text,
        ip_address -> Nullable<Inet>,
        created_at -> Timestamptz,
        absolute_expires_at -> Timestamptz,
        generation -> Int8,
        h_current -> Bytea,
        h_previous -> Nullable<Bytea>,
        rotated_at -> Timestamptz,
        last_seen_at -> Timestamptz,
        last_user_agent -> Text,
        last_ip_address -> Nullable<Inet>,
        idle_expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        end_reason -> Nullable<Text>,
        token_mode -> Text,
        bound_user_agent -> Bool,
        bound_ip_prefix_length -> Nullable<Int2>,
        binding_reaction -> Nullable<Text>,
    }
}

diesel::table! {
    audit_events (user_id, id) {
        user_id -> Uuid,
        id -> Uuid,
        session_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        kind -> Text,
        detail -> Jsonb,
        actor_id -> Nullable<Uuid>,
        actor_session_id -> Nullable<Uuid>,
        request_id -> Text,
        ip_address -> Nullable<Inet>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        public_key -> Bytea,
        sealed_private -> Bytea,
        state -> Text,
        created_at -> Timestamptz,
        sealed_public -> Nullable<Bytea>,
        activated_at -> Nullable<Timestamptz>,
        retired_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
        dropped -> Bool,
    }
}

diesel::allow_tables_to_appear_in_same_query!(users, user_logins, sessions);
