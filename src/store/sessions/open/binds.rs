//! What the statement that opens a session takes.

use std::net::IpAddr;

use diesel::pg::data_types::PgInterval;
use ipnet::IpNet;
use uuid::Uuid;

use super::{
    super::{super::audit::By, bytes, rotate::interval},
    NewSession,
};
use crate::model::{
    audit::{Act, Detail, SignIn},
    session::Device,
    session_limits::WhenFull,
};

/// How many leading bits of an address name its network.
const NETWORK_V4: u8 = 24;
const NETWORK_V6: u8 = 48;

pub(super) struct Binds<'a> {
    pub(super) device: &'a Device,
    pub(super) password_hash: &'a str,
    pub(super) user_id: Uuid,
    pub(super) id: Uuid,
    /// How many sessions the user has opened before; `None` where no other can be opened
    /// meanwhile.
    pub(super) opened: Option<i64>,
    pub(super) per_user: i64,
    pub(super) per_client: i64,
    pub(super) refuse: bool,
    pub(super) ip_address: Option<IpNet>,
    pub(super) network: Option<IpNet>,
    pub(super) commitment: Vec<u8>,
    pub(super) idle: PgInterval,
    pub(super) absolute: PgInterval,
    pub(super) token_mode: &'static str,
    pub(super) bound_user_agent: bool,
    pub(super) bound_ip_prefix_length: Option<i16>,
    pub(super) binding_reaction: Option<&'static str>,
    /// What the events tell; what is new about it is for the statement to say.
    pub(super) detail: serde_json::Value,
    pub(super) by: By<'a>,
}

impl<'a> Binds<'a> {
    pub(super) fn new(act: &'a Act, new: &'a NewSession, opened: Option<i64>) -> Self {
        let limits = new.limits;
        let address = new.device.origin.ip_address;
        Self {
            device: &new.device,
            password_hash: new.password_hash.as_phc(),
            user_id: new.user_id.0,
            id: new.id.0,
            opened,
            per_user: limits.per_user.into(),
            per_client: limits.per_client.map_or(i64::MAX, i64::from),
            refuse: limits.when_full == WhenFull::Refuse,
            ip_address: address.map(IpNet::from),
            network: address.and_then(network),
            commitment: bytes(new.commitment),
            idle: interval(new.idle),
            absolute: interval(new.absolute),
            token_mode: new.token_mode.as_str(),
            bound_user_agent: new.binding.is_some_and(|binding| binding.user_agent),
            bound_ip_prefix_length: new.binding.and_then(|b| b.ip_prefix_length).map(i16::from),
            binding_reaction: new.binding.map(|binding| binding.reaction.as_str()),
            detail: Detail::SignIn(SignIn {
                device: new.device.clone(),
                new_device: false,
                new_network: false,
            })
            .to_json(),
            by: By::from(act),
        }
    }
}

/// The network that an address is of.
fn network(address: IpAddr) -> Option<IpNet> {
    let length = match address {
        IpAddr::V4(_) => NETWORK_V4,
        IpAddr::V6(_) => NETWORK_V6,
    };
    IpNet::new(address, length)
        .ok()
        .map(|network| network.trunc())
}
