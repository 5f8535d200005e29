//! Devices, and from where they are used.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::{Fields, is_control};
use crate::{
    grpc::source::Source,
    model::session::{Device, Origin},
    proto::v1,
};

const MAX_DEVICE_ID: usize = 128;
const MAX_CLIENT_ID: usize = 64;
const MAX_USER_AGENT: usize = 512;

impl Fields {
    /// A device and from where it signs in.
    pub(in super::super) fn device(
        &mut self,
        device: Option<v1::Device>,
        source: Source,
    ) -> Option<Device> {
        let Some(device) = device else {
            self.reject("device", "is required");
            return None;
        };
        Some(Device {
            device_id: self.device_id("device.device_id", device.device_id),
            display_name: self.display_name("device.display_name", &device.display_name),
            client_id: self.client_id("device.client_id", device.client_id),
            origin: Origin {
                user_agent: self.user_agent("device.user_agent", &device.user_agent),
                ip_address: source.device(self.ip_address("device.ip_address", &device.ip_address)),
            },
        })
    }

    pub(in super::super) fn device_id(&mut self, field: &str, text: String) -> Option<String> {
        if text.len() > MAX_DEVICE_ID || !text.bytes().all(|b| b.is_ascii_graphic()) {
            self.reject(
                field,
                format!("must be at most {MAX_DEVICE_ID} visible ASCII characters"),
            );
        }
        (!text.is_empty()).then_some(text)
    }

    pub(in super::super) fn client_id(&mut self, field: &str, text: String) -> String {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(1..=MAX_CLIENT_ID).contains(&text.len()) || !text.bytes().all(fits) {
            self.reject(
                field,
                format!("must be 1 to {MAX_CLIENT_ID} characters of A-Z a-z 0-9 . _ -"),
            );
        }
        text
    }

    /// A user agent, its control characters escaped so that no log or terminal acts
    /// on them.
    pub(in super::super) fn user_agent(&mut self, field: &str, text: &str) -> String {
        if text.len() > MAX_USER_AGENT {
            self.reject(field, format!("must be at most {MAX_USER_AGENT} bytes"));
            return String::new();
        }
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if is_control(c) {
                escaped.extend(c.escape_unicode());
            } else {
                escaped.push(c);
            }
        }
        escaped
    }

    pub(in super::super) fn ip_address(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        if text.is_empty() {
            return None;
        }
        let address = text.parse::<IpAddr>();
        if address.is_err() {
            self.reject(field, "must be an IPv4 or IPv6 address");
        }
        address.ok().map(|address| address.to_canonical())
    }

    /// A prefix in CIDR form, or one address.
    pub(in super::super) fn ip_prefix(&mut self, field: &str, text: &str) -> Option<IpNet> {
        if text.is_empty() {
            return None;
        }
        let prefix = text.parse::<IpNet>().ok();
        let prefix = prefix.or_else(|| {
            text.parse::<IpAddr>()
                .ok()
                .map(|ip| IpNet::from(ip.to_canonical()))
        });
        if prefix.is_none() {
            self.reject(field, "must be an address or a prefix in CIDR form");
        }
        prefix.map(|prefix| canonical(prefix.trunc()))
    }
}

/// A prefix of IPv4 addresses in IPv6's clothes as what it means: addresses are stored
/// like that.
fn canonical(prefix: IpNet) -> IpNet {
    let IpNet::V6(six) = prefix else {
        return prefix;
    };
    let four = six.addr().to_ipv4_mapped();
    let length = six.prefix_len().checked_sub(96);
    let four = four
        .zip(length)
        .and_then(|(four, length)| Ipv4Net::new(four, length).ok());
    four.map_or(prefix, IpNet::V4)
}
