//! Reflection, without a token.

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::Harness;

const SERVICES: [&str; 9] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "rollcall.v1.Audit",
    "rollcall.v1.Auth",
    "rollcall.v1.KeyAdmin",
    "rollcall.v1.SessionAdmin",
    "rollcall.v1.UserAdmin",
    "rollcall.v1.Verification",
];

#[tokio::test(flavor = "multi_thread")]
async fn version_1_lists_the_services_and_knows_the_types_of_error_details() {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let it = Harness::start().await;
    let ask = async |request| {
        let request = ServerReflectionRequest {
            message_request: Some(request),
            ..ServerReflectionRequest::default()
        };
        let mut client = ServerReflectionClient::new(it.channel.clone());
        let requests = futures_util::stream::iter([request]);
        let mut replies = client
            .server_reflection_info(requests)
            .await
            .expect("answers")
            .into_inner();
        let reply = replies.message().await.expect("a reply").expect("one");
        reply.message_response.expect("a message")
    };
    let MessageResponse::ListServicesResponse(listed) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("not a list");
    };
    let names: Vec<_> = listed
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for service in SERVICES {
        assert!(
            names.contains(&service) || service.contains("v1alpha"),
            "{service} in {names:?}"
        );
    }
    for symbol in [
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "rollcall.v1.ErrorReason",
    ] {
        let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
        let MessageResponse::FileDescriptorResponse(found) = answer else {
            panic!("{symbol} is not known");
        };
        let file = FileDescriptorProto::decode(&*found.file_descriptor_proto[0]).expect("decodes");
        assert!(
            symbol.starts_with(file.package()),
            "{symbol} in {}",
            file.package()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_1_alpha_lists_the_services() {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let it = Harness::start().await;
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut client = ServerReflectionClient::new(it.channel.clone());
    let requests = futures_util::stream::iter([request]);
    let mut replies = client
        .server_reflection_info(requests)
        .await
        .expect("answers")
        .into_inner();
    let reply = replies.message().await.expect("a reply").expect("one");
    let Some(MessageResponse::ListServicesResponse(listed)) = reply.message_response else {
        panic!("not a list");
    };
    let names: Vec<_> = listed
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for service in [
        "rollcall.v1.Auth",
        "rollcall.v1.SessionAdmin",
        "rollcall.v1.UserAdmin",
    ] {
        assert!(names.contains(&service), "{service} in {names:?}");
    }
}
