//! Tokens, as far as they can be judged without keys, and the names of refreshes.

use super::Fields;
use crate::model::password_reset_token::PasswordResetTokenText;

/// Also of password reset tokens.
const MAX_REFRESH_TOKEN: usize = 256;
const MAX_ACCESS_TOKEN: usize = 8 * 1024;
const MIN_REQUEST_ID: usize = 22;
const MAX_REQUEST_ID: usize = 128;

impl Fields {
    pub(in super::super) fn password_reset_token(
        &mut self,
        field: &str,
        text: String,
    ) -> PasswordResetTokenText {
        PasswordResetTokenText::new(self.token(field, text, MAX_REFRESH_TOKEN))
    }

    pub(in super::super) fn refresh_token(&mut self, text: String) -> String {
        self.token("refresh_token", text, MAX_REFRESH_TOKEN)
    }

    pub(in super::super) fn access_token(&mut self, field: &str, text: String) -> String {
        self.token(field, text, MAX_ACCESS_TOKEN)
    }

    pub(in super::super) fn request_id(&mut self, text: String) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let length = MIN_REQUEST_ID..=MAX_REQUEST_ID;
        if !length.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            self.reject(
                "request_id",
                format!("must be {MIN_REQUEST_ID} to {MAX_REQUEST_ID} visible ASCII characters with at least 128 random bits"),
            );
        }
        Some(text)
    }

    fn token(&mut self, field: &str, text: String, max: usize) -> String {
        if text.is_empty() || text.len() > max {
            self.reject(field, format!("must be 1 to {max} bytes"));
        }
        text
    }
}
