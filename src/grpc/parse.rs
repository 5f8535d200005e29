//! Requests into types. Every violation is collected, so that a caller learns of all
//! at once; nothing inside checks again.

mod binding;
mod device;
mod session_filter;
mod token;
mod who;

use time::OffsetDateTime;
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

use super::status::invalid_argument;
use crate::{
    model::ids::{SessionId, UserId},
    proto::v1,
    store::sessions::Range,
};

const MAX_DISPLAY_NAME: usize = 128;
/// The most violations that an answer names: it travels in headers, and clients end
/// the connection over headers of more than 8 KiB.
const MAX_VIOLATIONS: usize = 20;

/// The violations found so far.
#[derive(Default)]
pub(super) struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    pub(super) fn reject(&mut self, field: impl Into<String>, description: impl Into<String>) {
        // More would not fit into a reply's metadata, and help nobody.
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations
                .push(FieldViolation::new(field, description));
        }
    }

    /// The first violation, with its field and description.
    pub(super) fn into_first(self) -> Option<(String, String)> {
        let first = self.violations.into_iter().next()?;
        Some((first.field, first.description))
    }

    /// What `build` makes of the parsed fields, or all violations.
    pub(super) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Status> {
        if !self.violations.is_empty() {
            return Err(invalid_argument(self.violations));
        }
        // A field that gave nothing has said why.
        build().ok_or_else(|| invalid_argument(Vec::new()))
    }

    pub(super) fn display_name(&mut self, field: &str, text: &str) -> String {
        if text.chars().count() > MAX_DISPLAY_NAME || text.chars().any(is_control) {
            self.reject(
                field,
                format!("must be at most {MAX_DISPLAY_NAME} characters, none of them a control character"),
            );
        }
        text.to_owned()
    }

    pub(super) fn session_id(&mut self, field: &str, text: &str) -> Option<SessionId> {
        self.uuid(field, text).map(SessionId)
    }

    pub(super) fn user_id(&mut self, field: &str, text: &str) -> Option<UserId> {
        self.uuid(field, text).map(UserId)
    }

    fn uuid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        // Only the hyphenated form, since ids are compared as texts by callers.
        let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        if uuid.is_none() {
            self.reject(field, "must be a UUID in its hyphenated form");
        }
        uuid
    }

    /// A text to search for, within the limits of a name; an empty one searches for
    /// nothing.
    pub(super) fn search(&mut self, field: &str, text: &str) -> Option<String> {
        let text = self.display_name(field, text);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn time_range(&mut self, field: &str, range: Option<v1::TimeRange>) -> Range {
        let Some(range) = range else {
            return Range::default();
        };
        let start = self.timestamp(&format!("{field}.start_time"), range.start_time);
        let end = self.timestamp(&format!("{field}.end_time"), range.end_time);
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            self.reject(field, "start_time must be before end_time");
        }
        Range { start, end }
    }

    fn timestamp(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
    ) -> Option<OffsetDateTime> {
        let time = time?;
        let parsed = OffsetDateTime::from_unix_timestamp(time.seconds).ok();
        let nanos = u32::try_from(time.nanos).ok();
        let parsed = parsed.zip(nanos).and_then(|(seconds, nanos)| {
            let exact = seconds.replace_nanosecond(nanos).ok()?;
            (1..=9999).contains(&exact.year()).then_some(exact)
        });
        if parsed.is_none() {
            self.reject(field, "must be a time between the years 1 and 9999");
        }
        parsed
    }
}

/// Whether a character acts on a terminal or a line of text rather than being read:
/// also what breaks lines or turns the direction of writing.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
