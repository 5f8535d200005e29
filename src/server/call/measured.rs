//! The end of a call, for the metrics: of most with their headers, of a stream with its
//! trailers.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tonic::{Code, Status, body::Body};

use crate::metrics::Call;

/// Ends a call that had this response, or has its body end it.
pub(super) fn end(call: Call, code: Code, response: Response<Body>) -> Response<Body> {
    let goes_on = call.streams() && Status::from_header_map(response.headers()).is_none();
    if !goes_on {
        call.end(code.into());
        return response;
    }
    response.map(|body| {
        let call = Some(call);
        Body::new(Stream { body, call })
    })
}

/// The body of a stream. A peer that goes away drops it, which cancels the call.
struct Stream {
    body: Body,
    call: Option<Call>,
}

impl Stream {
    fn end(&mut self, trailers: Option<&HeaderMap>) {
        let status = trailers.and_then(Status::from_header_map);
        let code = status.map_or(Code::Unknown, |status| status.code());
        if let Some(call) = self.call.take() {
            call.end(code.into());
        }
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => self.end(frame.trailers_ref()),
            Poll::Ready(None | Some(Err(_))) => self.end(None),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
