//! HTTP/2 beneath the gRPC client: calls without a timer of the client's own, and bare
//! frames (RFC 9113 section 4).

use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use prost::{
    Message,
    bytes::{BufMut, Bytes, BytesMut},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tonic::Status;

/// A connection whose calls only the server ends.
pub struct Connection(SendRequest<Bytes>);

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self(send)
    }

    /// Begins a call; dropping the future resets its stream.
    pub async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> ResponseFuture {
        let mut request = Request::post(format!("http://rollcall{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(()).expect("a request");
        let mut send = self.0.clone().ready().await.expect("a free stream");
        let (response, mut body) = send.send_request(request, false).expect("is sent");
        body.send_data(framed(message), true).expect("is sent");
        response
    }
}

/// The headers and the status of a reply.
pub async fn outcome(response: ResponseFuture) -> (HeaderMap, Status) {
    let (head, mut body) = response.await.expect("a reply").into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return (head.headers, status);
    }
    while let Some(data) = body.data().await {
        let length = data.expect("the reply goes on").len();
        let _ = body.flow_control().release_capacity(length);
    }
    let trailers = body.trailers().await.expect("trailers").expect("trailers");
    let status = Status::from_header_map(&trailers).expect("a status");
    (head.headers, status)
}

/// A message with its gRPC prefix: not compressed, and its length.
fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).expect("a small message"));
    message.encode(&mut bytes).expect("there is room");
    bytes.freeze()
}

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The error code of a peer that is worn out (RFC 9113 section 7).
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.to_vec(),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a small payload");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The parameters of a SETTINGS frame.
    pub fn settings(&self) -> Vec<(u16, u32)> {
        let pairs = self.payload.chunks_exact(6);
        pairs
            .map(|pair| {
                let id = u16::from_be_bytes([pair[0], pair[1]]);
                let value = u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
                (id, value)
            })
            .collect()
    }
}

/// A connection on which the preface and empty SETTINGS were sent.
pub struct Raw {
    pub read: OwnedReadHalf,
    pub write: OwnedWriteHalf,
}

impl Raw {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (read, mut write) = stream.into_split();
        let settings = Frame::new(SETTINGS, 0, 0, &[]).encode();
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat();
        write.write_all(&preface).await.expect("is sent");
        Self { read, write }
    }

    /// The next frame of the server; `None` once it has closed the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        read_frame(&mut self.read).await
    }

    /// Sends what `chunks` gives while the server takes it, and answers the error code
    /// with which it ended the connection.
    pub async fn flood(self, chunks: impl Iterator<Item = Vec<u8>> + Send + 'static) -> u32 {
        let Self {
            mut read,
            mut write,
        } = self;
        let sending = tokio::spawn(async move {
            for chunk in chunks {
                if write.write_all(&chunk).await.is_err() {
                    break;
                }
            }
            // Kept open: it is for the server to end the connection.
            write
        });
        let mut code = None;
        while let Some(frame) = read_frame(&mut read).await {
            if frame.kind == GOAWAY {
                let bytes = frame.payload[4..8].try_into().expect("4 bytes");
                code = Some(u32::from_be_bytes(bytes));
            }
        }
        sending.abort();
        code.expect("the server says why it ends the connection")
    }
}

async fn read_frame(read: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    read.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload,
    })
}

/// A header field as HPACK's literal without indexing (RFC 7541 section 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("short");
    assert!(name.len() < 127 && value.len() < 127, "one byte of length");
    [
        &[0, length(name)],
        name.as_bytes(),
        &[length(value)],
        value.as_bytes(),
    ]
    .concat()
}

/// The header fields of a call.
pub fn call_fields(path: &str) -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", path),
        field(":authority", "rollcall"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat()
}
