//! The wire: what `build.rs` made of `proto/`, and the codec that carries it.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Status,
    codec::{Codec as TonicCodec, DecodeBuf, Decoder as TonicDecoder},
};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Package `rollcall.v1`.
pub mod v1 {
    #![expect(
        clippy::all,
        clippy::pedantic,
        reason = "generated; the protos are the documentation"
    )]
    tonic::include_proto!("rollcall.v1");
}

/// The encoded `FileDescriptorSet` of the protos, with comments and imports.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Protobuf over gRPC, with one difference to tonic's own codec: a message that
/// cannot be decoded is INVALID_ARGUMENT, since the caller sent it, not INTERNAL.
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Decoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Decoder(ProstDecoder::default())
    }
}

/// The decoding half of [`Codec`].
pub struct Decoder<U>(ProstDecoder<U>);

impl<U: Message + Default> TonicDecoder for Decoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        self.0
            .decode(buf)
            .map_err(|status| Status::invalid_argument(status.message()))
    }
}

macro_rules! silent_debug {
    ($($message:ident),+ $(,)?) => {$(
        impl std::fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($message), " { .. }"))
            }
        }
    )+};
}

// These hold tokens or passwords, which must not reach a log.
silent_debug!(
    RegisterRequest,
    AuthenticateRequest,
    TokenPair,
    RefreshRequest,
    RenewRequest,
    LogoutRequest,
    IntrospectRequest,
    ChangePasswordRequest,
    ResetPasswordRequest,
    IssuePasswordResetTokenResponse,
    ImportUsersRequest,
    CreateUserRequest,
    SetPasswordRequest,
);
