//! What is asked for of a session beside its device: its tokens, and what binds it.

use std::net::IpAddr;

use super::{super::source::Source, Fields};
use crate::{
    model::{
        binding::{Binding, Reaction},
        token_mode::TokenMode,
    },
    proto::v1,
};

impl Fields {
    pub(in super::super) fn token_mode(&mut self, field: &str, mode: i32) -> Option<TokenMode> {
        match v1::TokenMode::try_from(mode) {
            Ok(v1::TokenMode::Unspecified | v1::TokenMode::Pair) => Some(TokenMode::Pair),
            Ok(v1::TokenMode::Single) => Some(TokenMode::Single),
            Err(_) => {
                self.reject(field, "must be a TokenMode");
                None
            }
        }
    }

    /// What binds a session that is opened from `device`; what it is bound to must be
    /// known.
    pub(in super::super) fn binding(
        &mut self,
        binding: Option<v1::SessionBinding>,
        device: Option<&v1::Device>,
        source: Source,
    ) -> Option<Binding> {
        let binding = binding?;
        let has_prefix = binding.ip_prefix_length != 0;
        if !binding.user_agent && !has_prefix {
            self.reject("binding", "must have at least one condition");
        }
        // What is no address is named as such with the device.
        let given = device.and_then(|device| device.ip_address.parse::<IpAddr>().ok());
        let address = source.device(given.map(|address| address.to_canonical()));
        if let Some(device) = device {
            if binding.user_agent && device.user_agent.is_empty() {
                self.reject("device.user_agent", "is required by the binding");
            }
            let named = !device.ip_address.is_empty() && given.is_none();
            if has_prefix && address.is_none() && !named {
                self.reject("device.ip_address", "is required by the binding");
            }
        }
        let reaction = self.reaction("binding.reaction", binding.reaction);
        Some(Binding {
            user_agent: binding.user_agent,
            ip_prefix_length: self.prefix_length(binding.ip_prefix_length, address),
            reaction: reaction?,
        })
    }

    fn prefix_length(&mut self, length: u32, address: Option<IpAddr>) -> Option<u8> {
        let max = match address {
            Some(IpAddr::V4(_)) => 32,
            Some(IpAddr::V6(_)) | None => 128,
        };
        match u8::try_from(length) {
            Ok(0) => None,
            Ok(length) if length <= max => Some(length),
            _ => {
                let limit = format!("must be at most {max}, the bits of the device's address");
                self.reject("binding.ip_prefix_length", limit);
                None
            }
        }
    }

    fn reaction(&mut self, field: &str, reaction: i32) -> Option<Reaction> {
        match v1::BindingReaction::try_from(reaction) {
            Ok(v1::BindingReaction::Note) => Some(Reaction::Note),
            Ok(v1::BindingReaction::Refuse) => Some(Reaction::Refuse),
            Ok(v1::BindingReaction::End) => Some(Reaction::End),
            Ok(v1::BindingReaction::Unspecified) | Err(_) => {
                self.reject(field, "is required, and must be a BindingReaction");
                None
            }
        }
    }
}
