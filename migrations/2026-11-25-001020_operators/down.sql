DROP TABLE session_stats;
DROP TABLE password_reset_tokens;
DROP TABLE user_sign_ins;
