//! Messages made field by field from the descriptors, so that a field can hold what
//! no generated type would let it, and a new field is met without being named here.

use std::{collections::HashMap, sync::LazyLock};

use prost_types::{DescriptorProto, FieldDescriptorProto, field_descriptor_proto::Type};

use super::raw::{package, rpcs};

/// Every message by its full name, as `.rollcall.v1.Device`.
static MESSAGES: LazyLock<HashMap<String, DescriptorProto>> = LazyLock::new(|| {
    let mut messages = HashMap::new();
    for file in package().file {
        for message in &file.message_type {
            let name = format!(".{}.{}", file.package(), message.name());
            messages.insert(name, message.clone());
        }
    }
    messages
});

/// What a field is to hold.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of a string.
    Text(String),
    /// Of a string that is not one.
    Bytes(Vec<u8>),
    /// Of any integer or a bool.
    Number(i64),
    /// Of a message, encoded.
    Message(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A field that a request can hold.
#[derive(Clone, Debug)]
pub struct Field {
    /// As BadRequest names it: `device.client_id`.
    pub path: String,
    pub kind: Type,
    /// Which of its message's oneofs it belongs to.
    pub oneof: Option<i32>,
}

/// The fields of an RPC's request, those of messages within too; Google's messages
/// count as one field.
pub fn fields(rpc: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(&request_of(rpc), "", &mut fields);
    fields
}

/// `path` set to `value`, to be appended to a request of the RPC: of a field that
/// stands twice the last counts, messages are merged, and lists grow.
pub fn set(rpc: &str, path: &str, value: &Value) -> Vec<u8> {
    let mut message = request_of(rpc);
    let mut tags = Vec::new();
    for name in path.split('.') {
        let field = field_of(&message, name);
        tags.push(field.number());
        message = field.type_name().to_owned();
    }
    let last = tags.pop().expect("a path has a name");
    let innermost = encode(last, value);
    tags.iter()
        .rev()
        .fold(innermost, |bytes, tag| encode(*tag, &Value::Message(bytes)))
}

fn request_of(rpc: &str) -> String {
    let known = rpcs().into_iter().find(|(name, _)| name == rpc);
    known.unwrap_or_else(|| panic!("{rpc} is an RPC")).1
}

fn collect(message: &str, prefix: &str, fields: &mut Vec<Field>) {
    for field in &MESSAGES[message].field {
        let path = format!("{prefix}{}", field.name());
        if field.r#type() == Type::Message && !field.type_name().starts_with(".google.") {
            collect(field.type_name(), &format!("{path}."), fields);
            continue;
        }
        fields.push(Field {
            path,
            kind: field.r#type(),
            oneof: field.oneof_index,
        });
    }
}

fn field_of<'a>(message: &str, name: &str) -> &'a FieldDescriptorProto {
    let mut fields = MESSAGES[message].field.iter();
    let found = fields.find(|field| field.name() == name);
    found.unwrap_or_else(|| panic!("{message} has {name}"))
}

fn encode(tag: i32, value: &Value) -> Vec<u8> {
    let tag = u64::from(tag.unsigned_abs()) << 3;
    let mut bytes = Vec::new();
    let content = match value {
        Value::Number(number) => {
            varint(tag, &mut bytes);
            varint(number.cast_unsigned(), &mut bytes);
            return bytes;
        }
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(content) | Value::Message(content) => content,
    };
    varint(tag | 2, &mut bytes);
    varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}
