//! Whatever fields hold, no call fails in a way that is the server's fault.

use std::sync::Arc;

use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use prost_types::field_descriptor_proto::Type;
use tonic::Code;

use super::World;
use crate::harness::{Field, Value, fields, fresh_login, good_request, rpcs, set};

/// How many requests of each RPC.
const CASES: u32 = 48;

#[test]
fn no_field_of_any_request_makes_a_call_fail_by_the_servers_fault() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = Arc::new(runtime.block_on(World::new()));
    runtime.block_on(world.it.database.until_counted());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    for (rpc, _) in rpcs() {
        let strategy = (any::<bool>(), changes(&rpc, &world));
        // Of the operator before, the password may have been changed, and the token be one of a
        // key that was dropped.
        let admin = runtime
            .block_on(world.it.subject(&fresh_login(), &["admin"]))
            .laptop;
        let run = TestRunner::new(config.clone()).run(&strategy, |(begin_good, changes)| {
            let mut message = Vec::new();
            if begin_good {
                message = good_request(&rpc, &world.subject);
            }
            for (path, value) in &changes {
                message.extend(set(&rpc, path, value));
            }
            let token = Some(admin.access_token.as_str());
            let result = runtime.block_on(world.it.call(&rpc, message, token));
            let code = result.err().map_or(Code::Ok, |status| status.code());
            let to_blame = [
                Code::Internal,
                Code::Unknown,
                Code::Unavailable,
                Code::DataLoss,
            ];
            prop_assert!(!to_blame.contains(&code), "{code:?}");
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{rpc}: {error}"));
    }
    drop(world);
    drop(runtime);
}

/// Some fields of a request, each set to anything that its type can hold.
fn changes(rpc: &str, world: &World) -> BoxedStrategy<Vec<(String, Value)>> {
    let known_fields = fields(rpc);
    if known_fields.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let subject = &world.subject;
    let known = vec![
        subject.login.clone(),
        subject.phone.user_id.clone(),
        subject.phone.session_id.clone(),
        subject.phone.refresh_token.clone(),
        "test".to_owned(),
        "127.0.0.0/8".to_owned(),
        "roles".to_owned(),
        "disabled".to_owned(),
    ];
    let field = select(known_fields);
    let change = field.prop_flat_map(move |field| {
        let path = Just(field.path.clone());
        (path, value(&field, known.clone()))
    });
    proptest::collection::vec(change, 0..6).boxed()
}

fn value(field: &Field, known: Vec<String>) -> BoxedStrategy<Value> {
    match field.kind {
        Type::String => {
            // Texts that mean something to a terminal, to SQL, to LIKE or to a path.
            let special = "[\0\u{1b}\n%_\\\\'\";./ $\u{85}\u{202e}\u{feff}\u{1f600}-]{0,40}";
            prop_oneof![
                2 => select(known).prop_map(Value::Text),
                1 => any::<String>().prop_map(Value::Text),
                1 => special.prop_map(Value::Text),
                1 => ".{100,1100}".prop_map(Value::Text),
            ]
            .boxed()
        }
        Type::Message => {
            let part = (
                0..5_u8,
                prop_oneof![any::<i64>(), -1..2_i64, Just(1_700_000_000)],
            );
            let parts = proptest::collection::vec(part, 0..3);
            parts
                .prop_map(|parts| Value::Message(numbers(&parts)))
                .boxed()
        }
        _ => prop_oneof![any::<i64>(), -2..1_002_i64]
            .prop_map(Value::Number)
            .boxed(),
    }
}

/// A message whose first fields hold numbers, as a timestamp has them.
fn numbers(parts: &[(u8, i64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (field, number) in parts {
        bytes.push((field + 1) << 3);
        let mut rest = number.cast_unsigned();
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
    }
    bytes
}
