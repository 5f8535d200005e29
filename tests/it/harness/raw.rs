//! Calls of any RPC by its name, with a message as bytes: for what is the same for
//! every RPC, and for messages that no client would make.

use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use rollcall::proto::DESCRIPTORS;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use prost::{
    Message,
    bytes::{Buf, BufMut},
};

use super::Replica;

impl Replica {
    /// Calls `SERVICE/METHOD` of the package with an encoded message, and answers the
    /// reply, or the first of a stream.
    pub async fn call(
        &self,
        rpc: &str,
        message: Vec<u8>,
        access_token: Option<&str>,
    ) -> Result<Vec<u8>, Status> {
        self.call_named(rpc, message, access_token, &super::request_id())
            .await
    }

    /// The same with an `x-request-id`.
    pub async fn call_named(
        &self,
        rpc: &str,
        message: Vec<u8>,
        access_token: Option<&str>,
        request_id: &str,
    ) -> Result<Vec<u8>, Status> {
        let mut request = Request::new(message);
        let id = request_id.parse().expect("ASCII");
        request.metadata_mut().insert("x-request-id", id);
        if let Some(token) = access_token {
            let value = format!("Bearer {token}").parse().expect("ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        let path = format!("/rollcall.v1.{rpc}").parse().expect("a path");
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.expect("the channel is open");
        let replies = client.server_streaming(request, path, Bytes).await?;
        let reply = replies.into_inner().message().await?;
        // A stream may have none.
        Ok(reply.unwrap_or_default())
    }
}

/// Every RPC as `SERVICE/METHOD`, with the name of its request.
pub fn rpcs() -> Vec<(String, String)> {
    let package = package();
    let services = package.file.iter().flat_map(|file| &file.service);
    services
        .flat_map(|service| {
            let rpc = |method: &MethodDescriptorProto| {
                let name = format!("{}/{}", service.name(), method.name());
                (name, method.input_type().to_owned())
            };
            service.method.iter().map(rpc)
        })
        .collect()
}

/// The protos as they were compiled.
pub fn package() -> FileDescriptorSet {
    FileDescriptorSet::decode(DESCRIPTORS).expect("a descriptor set")
}

/// Messages as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
