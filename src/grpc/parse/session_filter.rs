//! Which sessions are asked for.

use std::time::Duration;

use super::Fields;
use crate::{
    proto::v1::{self, session_filter},
    store::sessions::{Filter, GenerationRange},
};

impl Fields {
    /// The login of the user, which is to be looked up, and the other conditions. A session
    /// is online that was used for no longer ago than `online`.
    pub(in super::super) fn session_filter(
        &mut self,
        wanted: v1::SessionFilter,
        online: Duration,
    ) -> (Option<String>, Filter) {
        let (mut user_id, mut login) = (None, None);
        match wanted.user {
            Some(session_filter::User::UserId(id)) => user_id = self.user_id("filter.user_id", &id),
            Some(session_filter::User::Login(text)) => {
                login = self.lookup_login("filter.login", &text);
            }
            None => {}
        }
        let client_id = (!wanted.client_id.is_empty())
            .then(|| self.client_id("filter.client_id", wanted.client_id));
        let filter = Filter {
            user_id,
            include_ended: wanted.include_ended,
            device_id: self.device_id("filter.device_id", wanted.device_id),
            client_id,
            ip_prefix: self.ip_prefix("filter.ip_prefix", &wanted.ip_prefix),
            user_agent_contains: self
                .search("filter.user_agent_contains", &wanted.user_agent_contains),
            created: self.time_range("filter.create_time", wanted.create_time),
            last_seen: self.time_range("filter.last_seen_time", wanted.last_seen_time),
            generation: self.generation_range("filter.generation", wanted.generation),
            role: self.role("filter.role", wanted.role),
            online: wanted.online.then_some(online),
        };
        (login, filter)
    }

    fn generation_range(
        &mut self,
        field: &str,
        range: Option<v1::GenerationRange>,
    ) -> GenerationRange {
        let v1::GenerationRange { first, last } = range.unwrap_or_default();
        if let (Some(first), Some(last)) = (first, last)
            && first > last
        {
            self.reject(field, "first must not be after last");
        }
        GenerationRange { first, last }
    }
}
