//! The row of a session, and what may stand in it.

use std::net::IpAddr;

use diesel::prelude::Queryable;
use ipnet::IpNet;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::Error;
use crate::model::{
    binding::{Binding, Reaction},
    ids::{SessionId, UserId},
    refresh_token::Commitment,
    session::{Device, EndReason, Ended, Origin, Session},
    token_mode::TokenMode,
    verdict::Lineage,
};

/// The columns in the order of [`SessionRow`], of the table called `s`.
pub(super) const COLUMNS: &str = "s.user_id, s.id, s.client_id, s.device_id, s.display_name, \
     s.user_agent, s.ip_address, s.created_at, s.absolute_expires_at, s.generation, \
     s.h_current, s.h_previous, s.rotated_at, s.last_seen_at, s.last_user_agent, \
     s.last_ip_address, s.idle_expires_at, s.revoked_at, s.end_reason, s.token_mode, \
     s.bound_user_agent, s.bound_ip_prefix_length, s.binding_reaction";

#[derive(Queryable)]
pub(super) struct SessionRow {
    user_id: Uuid,
    id: Uuid,
    client_id: String,
    device_id: Option<String>,
    display_name: String,
    user_agent: String,
    ip_address: Option<IpNet>,
    created_at: OffsetDateTime,
    absolute_expires_at: OffsetDateTime,
    generation: i64,
    h_current: Vec<u8>,
    h_previous: Option<Vec<u8>>,
    rotated_at: OffsetDateTime,
    last_seen_at: OffsetDateTime,
    last_user_agent: String,
    last_ip_address: Option<IpNet>,
    idle_expires_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    end_reason: Option<String>,
    token_mode: String,
    bound_user_agent: bool,
    bound_ip_prefix_length: Option<i16>,
    binding_reaction: Option<String>,
}

impl SessionRow {
    pub(super) fn lineage(&self) -> Result<Lineage, Error> {
        let commitment = |bytes: &Vec<u8>| {
            let bytes = bytes.as_slice().try_into();
            bytes
                .map(Commitment)
                .map_err(|_| self.corrupt("commitment"))
        };
        Ok(Lineage {
            generation: self.generation()?,
            current: commitment(&self.h_current)?,
            previous: self.h_previous.as_ref().map(commitment).transpose()?,
            rotated_at: self.rotated_at,
        })
    }

    fn generation(&self) -> Result<u32, Error> {
        u32::try_from(self.generation).map_err(|_| self.corrupt("generation"))
    }

    fn ended(&self) -> Result<Option<Ended>, Error> {
        match (self.revoked_at, self.end_reason.as_deref()) {
            (None, None) => Ok(None),
            (Some(at), Some(reason)) => match EndReason::parse(reason) {
                Some(reason) => Ok(Some(Ended { at, reason })),
                None => Err(self.corrupt("end_reason")),
            },
            _ => Err(self.corrupt("revoked_at and end_reason")),
        }
    }

    fn token_mode(&self) -> Result<TokenMode, Error> {
        TokenMode::parse(&self.token_mode).ok_or_else(|| self.corrupt("token_mode"))
    }

    fn binding(&self) -> Result<Option<Binding>, Error> {
        let is_bound = self.bound_user_agent || self.bound_ip_prefix_length.is_some();
        let reaction = match self.binding_reaction.as_deref().map(Reaction::parse) {
            None if !is_bound => return Ok(None),
            Some(Some(reaction)) if is_bound => reaction,
            _ => return Err(self.corrupt("binding_reaction")),
        };
        let length = self.bound_ip_prefix_length.map(u8::try_from).transpose();
        Ok(Some(Binding {
            user_agent: self.bound_user_agent,
            ip_prefix_length: length.map_err(|_| self.corrupt("bound_ip_prefix_length"))?,
            reaction,
        }))
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::Corrupt {
            what: format!("{what} of session {}", self.id),
        }
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = Error;

    fn try_from(row: SessionRow) -> Result<Self, Error> {
        let generation = row.generation()?;
        let ended = row.ended()?;
        let (token_mode, binding) = (row.token_mode()?, row.binding()?);
        Ok(Self {
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            device: Device {
                device_id: row.device_id,
                display_name: row.display_name,
                client_id: row.client_id,
                origin: Origin {
                    user_agent: row.user_agent,
                    ip_address: address(row.ip_address),
                },
            },
            created_at: row.created_at,
            absolute_expires_at: row.absolute_expires_at,
            generation,
            rotated_at: row.rotated_at,
            last_seen_at: row.last_seen_at,
            last_origin: Origin {
                user_agent: row.last_user_agent,
                ip_address: address(row.last_ip_address),
            },
            idle_expires_at: row.idle_expires_at,
            ended,
            token_mode,
            binding,
        })
    }
}

fn address(net: Option<IpNet>) -> Option<IpAddr> {
    net.map(|net| net.addr())
}
