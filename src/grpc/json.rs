//! Messages as JSON, for people who read them later.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::proto;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTORS).ok());

/// A message of this package as ProtoJSON.
pub(super) fn json(name: &str, message: &impl Message) -> String {
    let dynamic = POOL.as_ref().and_then(|pool| {
        let descriptor = pool.get_message_by_name(&format!("rollcall.v1.{name}"))?;
        DynamicMessage::decode(descriptor, &*message.encode_to_vec()).ok()
    });
    let text = dynamic.and_then(|message| serde_json::to_string(&message).ok());
    text.unwrap_or_default()
}
