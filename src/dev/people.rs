//! Who there is to try things on. Addresses are those set aside for documentation
//! (RFC 5737, RFC 3849).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::role;

/// A user and the devices to be signed in on.
pub(super) struct Person {
    pub(super) login: &'static str,
    pub(super) display_name: &'static str,
    pub(super) roles: &'static [&'static str],
    /// The one signed in on at every start.
    pub(super) main: Gadget,
    pub(super) others: &'static [Gadget],
}

/// A device.
pub(super) struct Gadget {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) client_id: &'static str,
    pub(super) user_agent: &'static str,
    pub(super) ip_address: IpAddr,
}

impl Person {
    pub(super) fn devices(&self) -> impl Iterator<Item = &Gadget> {
        std::iter::once(&self.main).chain(self.others)
    }
}

/// Whose access token the commands on the screen take.
pub(super) const OPERATOR: Person = Person {
    login: "operator",
    display_name: "Operator",
    roles: &[role::ADMIN],
    main: Gadget {
        id: "rollcall-dev",
        name: "rollcall dev",
        client_id: "cli",
        user_agent: concat!("rollcall/", env!("CARGO_PKG_VERSION")),
        ip_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    },
    others: &[],
};

pub(super) const ANA: Person = Person {
    login: "ana",
    display_name: "Ana Souza",
    roles: &[],
    main: Gadget {
        id: "ana-macbook",
        name: "MacBook Pro",
        client_id: "web",
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
                     (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
        ip_address: v4(203, 0, 113, 7),
    },
    others: &[
        Gadget {
            id: "ana-pixel",
            name: "Pixel 10",
            client_id: "android",
            user_agent: "Example/4.2.0 (Android 16; Pixel 10)",
            ip_address: v4(198, 51, 100, 23),
        },
        Gadget {
            id: "ana-ipad",
            name: "iPad Air",
            client_id: "ios",
            user_agent: "Example/4.2.0 (iPadOS 26.1; iPad15,3)",
            ip_address: v6(0x7),
        },
    ],
};

pub(super) const BEN: Person = Person {
    login: "ben",
    display_name: "Ben Okafor",
    roles: &[],
    main: Gadget {
        id: "ben-thinkpad",
        name: "ThinkPad X1",
        client_id: "web",
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        ip_address: v4(203, 0, 113, 41),
    },
    others: &[
        Gadget {
            id: "ben-iphone",
            name: "iPhone 17",
            client_id: "ios",
            user_agent: "Example/4.2.0 (iOS 26.1; iPhone18,3)",
            ip_address: v6(0x5eed),
        },
        Gadget {
            id: "ben-build-server",
            name: "build server",
            client_id: "cli",
            user_agent: "example-cli/1.9.3 (linux; x86_64)",
            ip_address: v4(198, 51, 100, 80),
        },
    ],
};

pub(super) const CHLOE: Person = Person {
    login: "chloe",
    display_name: "Chloé Martin",
    roles: &[],
    main: Gadget {
        id: "chloe-galaxy",
        name: "Galaxy S25",
        client_id: "android",
        user_agent: "Example/4.1.7 (Android 15; SM-S931B)",
        ip_address: v4(192, 0, 2, 58),
    },
    others: &[Gadget {
        id: "chloe-surface",
        name: "Surface at work",
        client_id: "web",
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                     (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        ip_address: v6(0xcafe),
    }],
};

/// The account of a service that checks access tokens.
pub(super) const ORDERS: Person = Person {
    login: "orders",
    display_name: "Order service",
    roles: &[role::SERVICE],
    main: Gadget {
        id: "orders-1",
        name: "orders-1",
        client_id: "orders",
        user_agent: "orders/2.3.0",
        ip_address: v4(192, 0, 2, 10),
    },
    others: &[],
};

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}
