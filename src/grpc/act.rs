//! By which call something is done.

use tonic::Request;

use super::{request_id, source::Source};
use crate::model::audit::Act;

/// What the caller does for itself. For what an operator does to others, it goes on with
/// `act.by(caller.actor())`; where a service in between tells the device's address, with
/// `act.from_device(address)`.
pub(super) fn act<T>(request: &Request<T>) -> Act {
    Act::of_call(request_id::current(), Source::of(request).address())
}
