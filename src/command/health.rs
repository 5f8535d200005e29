//! `rollcall health`.

use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{Failure, print_line, remote::endpoint, text::plain};
use crate::config::Health;

pub(super) async fn health(options: Health) -> Result<(), Failure> {
    let limit = *options.timeout;
    let endpoint = endpoint(&options.server)?.connect_timeout(limit);
    let request = HealthCheckRequest {
        service: options.service.clone(),
    };
    let mut client = HealthClient::new(endpoint.connect_lazy());
    let reply = match tokio::time::timeout(limit, client.check(request)).await {
        Ok(reply) => reply.map_err(|status| of_check(status, &options.service))?,
        Err(_) => {
            let text = format!("the server did not answer within {}", options.timeout);
            return Err(Failure::Unreachable(text));
        }
    };
    match reply.into_inner().status() {
        ServingStatus::Serving => print_line("serving"),
        _ => Err(Failure::Refused("not serving".to_owned())),
    }
}

fn of_check(status: Status, service: &str) -> Failure {
    match status.code() {
        Code::NotFound => Failure::Refused(format!("there is no service `{}`", plain(service))),
        _ => status.into(),
    }
}
