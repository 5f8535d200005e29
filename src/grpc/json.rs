//! Messages as JSON, for people who read them later.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};

use crate::proto;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTORS).ok());

/// A message of this package as ProtoJSON.
pub(super) fn json(name: &str, message: &impl Message) -> String {
    let dynamic = descriptor(name)
        .and_then(|descriptor| DynamicMessage::decode(descriptor, &*message.encode_to_vec()).ok());
    let text = dynamic.and_then(|message| serde_json::to_string(&message).ok());
    text.unwrap_or_default()
}

/// The message of its JSON, but for what this release does not know of it; `None` where the
/// text is none.
pub(super) fn from_json<T: Message + Default>(name: &str, text: &str) -> Option<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let dynamic =
        DynamicMessage::deserialize_with_options(descriptor(name)?, &mut json, &options).ok()?;
    dynamic.transcode_to().ok()
}

fn descriptor(name: &str) -> Option<MessageDescriptor> {
    let pool = POOL.as_ref()?;
    pool.get_message_by_name(&format!("rollcall.v1.{name}"))
}
