//! A server from its first connection to its end, by the health that it reports.

use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use super::{Replica, patiently};

impl Replica {
    pub async fn wait_until_serving(&self) {
        self.wait_for_health("rollcall.v1.Auth", ServingStatus::Serving)
            .await;
    }

    /// Waits until a service reports `wanted`.
    pub async fn wait_for_health(&self, service: &str, wanted: ServingStatus) {
        let mut statuses = self.watch_health(service).await;
        let waiting = async {
            while let Some(status) = statuses.message().await.expect("the stream goes on") {
                if status.status() == wanted {
                    return;
                }
            }
            panic!("{service} never reported {wanted:?}");
        };
        patiently(service, waiting).await;
    }

    /// Waits for the end of a server that cannot serve.
    pub async fn end(mut self) -> Result<(), rollcall::server::Error> {
        let running = self.running.take().expect("ends once");
        let ended = patiently("the server ends", running).await;
        ended.expect("the server does not panic")
    }

    /// Stops the server as SIGTERM does, and waits for its end.
    pub async fn stop(mut self) -> Result<(), rollcall::server::Error> {
        drop(self.stop.take());
        let running = self.running.take().expect("stopped once");
        running.await.expect("the server does not panic")
    }

    /// One more connection.
    pub async fn connect(&self) -> Channel {
        connect(endpoint(&self.address)).await
    }

    /// One more connection, by which no more bytes come than its reader has asked for.
    pub async fn connect_with_window(&self, bytes: u32) -> Channel {
        connect(endpoint(&self.address).initial_stream_window_size(bytes)).await
    }

    /// Tells the server to stop, as SIGTERM does.
    pub fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// What a service reports at this moment.
    pub async fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut client = HealthClient::new(self.channel.clone());
        Ok(client.check(request).await?.into_inner().status())
    }

    /// What a service reports from this moment on.
    pub async fn watch_health(&self, service: &str) -> Streaming<HealthCheckResponse> {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut client = HealthClient::new(self.channel.clone());
        let watching = client.watch(request).await.expect("health answers");
        watching.into_inner()
    }
}

pub(super) fn endpoint(address: &str) -> Endpoint {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    endpoint.expect("an address makes a URL")
}

pub(super) async fn connect(endpoint: Endpoint) -> Channel {
    endpoint.connect().await.expect("the listener is bound")
}
