//! The messages of the protos as JSON, and as lines of names and values.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorError, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, SerializeOptions, Value,
};

use super::{
    Failure,
    text::{plain, plain_json, time, word},
};
use crate::proto::DESCRIPTORS;

static POOL: LazyLock<Result<DescriptorPool, DescriptorError>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS));

/// The message as canonical ProtoJSON, in one line that a terminal can show.
pub(super) fn to_json<M: Message + Name>(message: &M) -> Result<String, Failure> {
    let message = dynamic(message)?;
    let mut serializer = serde_json::Serializer::new(Vec::new());
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .map_err(other)?;
    let json = String::from_utf8(serializer.into_inner()).map_err(other)?;
    Ok(plain_json(&json))
}

/// A message of ProtoJSON; a field that is not known is an error.
pub(super) fn from_json<M: Message + Name + Default>(
    json: &serde_json::Value,
) -> Result<M, Failure> {
    let message = DynamicMessage::deserialize(descriptor::<M>()?, json).map_err(other)?;
    message.transcode_to().map_err(other)
}

/// Every field of a message that is set, with its value, a line each, those of messages in
/// it with its name before theirs.
pub(super) fn lines<M: Message + Name>(message: &M) -> Result<Vec<(String, String)>, Failure> {
    let mut lines = Vec::new();
    flatten("", &dynamic(message)?, &mut lines);
    Ok(lines)
}

fn dynamic<M: Message + Name>(message: &M) -> Result<DynamicMessage, Failure> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic.transcode_from(message).map_err(other)?;
    Ok(dynamic)
}

fn descriptor<M: Name>() -> Result<MessageDescriptor, Failure> {
    let pool = POOL.as_ref().map_err(other)?;
    let name = M::full_name();
    pool.get_message_by_name(&name)
        .ok_or_else(|| Failure::Other(format!("the message {name} is not known").into()))
}

fn other(error: impl std::error::Error + 'static) -> Failure {
    Failure::Other(Box::new(error))
}

fn flatten(before: &str, message: &DynamicMessage, lines: &mut Vec<(String, String)>) {
    for (field, value) in message.fields() {
        let name = format!("{before}{}", field.name());
        match value {
            Value::List(items) if !matches!(field.kind(), Kind::Message(_)) => {
                let items: Vec<_> = items.iter().map(|item| scalar(&field, item)).collect();
                lines.push((name, items.join(", ")));
            }
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    nested(format!("{name}[{at}]"), &field, item, lines);
                }
            }
            value => nested(name, &field, value, lines),
        }
    }
}

fn nested(name: String, field: &FieldDescriptor, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Message(inner) if inner.descriptor().full_name() == "google.protobuf.Timestamp" => {
            lines.push((name, time(inner.transcode_to().ok().as_ref())));
        }
        Value::Message(inner) => flatten(&format!("{name}."), inner, lines),
        value => lines.push((name, scalar(field, value))),
    }
}

fn scalar(field: &FieldDescriptor, value: &Value) -> String {
    match (value, field.kind()) {
        (Value::String(text), _) => plain(text),
        (Value::EnumNumber(number), Kind::Enum(kind)) => match kind.get_value(*number) {
            Some(value) => {
                let unspecified = kind.get_value(0).map(|zero| zero.name().to_owned());
                let unspecified = unspecified.unwrap_or_default();
                let prefix = unspecified.trim_end_matches("UNSPECIFIED");
                word(value.name(), prefix)
            }
            None => number.to_string(),
        },
        (Value::Bool(value), _) => value.to_string(),
        (Value::I32(value), _) => value.to_string(),
        (Value::I64(value), _) => value.to_string(),
        (Value::U32(value), _) => value.to_string(),
        (Value::U64(value), _) => value.to_string(),
        // The protos have no others.
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    fn session() -> v1::Session {
        v1::Session {
            session_id: "s".to_owned(),
            device: Some(v1::Device {
                display_name: "Ana's \u{1b}Pixel".to_owned(),
                ..v1::Device::default()
            }),
            create_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_001,
                nanos: 5_000_000,
            }),
            state: v1::SessionState::Live.into(),
            generation: 7,
            ..v1::Session::default()
        }
    }

    #[test]
    fn json_is_canonical_and_reads_back() {
        let json = to_json(&session()).unwrap();
        let expected = r#"{"sessionId":"s","device":{"displayName":"Ana's \u001bPixel"},"createTime":"2023-11-14T22:13:21.005Z","generation":7,"state":"SESSION_STATE_LIVE"}"#;
        assert_eq!(json, expected);
        let value = serde_json::from_str(&json).unwrap();
        assert_eq!(from_json::<v1::Session>(&value).unwrap(), session());
    }

    #[test]
    fn lines_have_the_names_of_the_protos_and_words_for_enums() {
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            line("session_id", "s"),
            line("device.display_name", "Ana's \\u{1b}Pixel"),
            line("create_time", "2023-11-14T22:13:21Z"),
            line("generation", "7"),
            line("state", "live"),
        ];
        assert_eq!(lines(&session()).unwrap(), expected);
    }

    #[test]
    fn unknown_field_is_named() {
        let value = serde_json::json!({"login": "ana", "pasword_hash": ""});
        let refused = from_json::<v1::ImportUsersRequest>(&value).unwrap_err();
        assert!(refused.to_string().contains("pasword_hash"), "{refused}");
    }
}
