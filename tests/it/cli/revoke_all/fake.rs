//! A server whose streams break as they are told to.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::stream::{self, Iter};
use rollcall::proto::v1::{
    self,
    session_admin_server::{SessionAdmin, SessionAdminServer},
};
use tonic::{Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{cli::Person, harness::SignedIn};

type Message = Result<v1::RevokeSessionsResponse, Status>;

/// What each stream brings, one after the other.
#[derive(Clone, Default)]
pub struct Fake {
    address: String,
    scripts: Arc<Mutex<VecDeque<Vec<Message>>>>,
    requests: Arc<Mutex<Vec<v1::RevokeSessionsRequest>>>,
}

/// So far so many sessions were ended, and looked at.
pub fn progress(ended: u64, examined: u64, cursor: &str) -> Message {
    Ok(v1::RevokeSessionsResponse {
        revoked_session_count: ended,
        examined_session_count: examined,
        cursor: cursor.to_owned(),
    })
}

/// The last message.
pub fn done(ended: u64, examined: u64) -> Message {
    progress(ended, examined, "")
}

/// The server goes away.
pub fn broken() -> Message {
    let soon = ErrorDetails::with_retry_info(Some(Duration::from_millis(1)));
    let code = tonic::Code::Unavailable;
    Err(Status::with_error_details(code, "going away", soon))
}

impl Fake {
    pub fn start(scripts: Vec<Vec<Message>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.set_nonblocking(true).expect("a socket");
        let address: SocketAddr = listener.local_addr().expect("bound");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
        let fake = Self {
            address: format!("http://{address}"),
            scripts: Arc::new(Mutex::new(scripts.into())),
            requests: Arc::default(),
        };
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = Server::builder().add_service(SessionAdminServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        fake
    }

    /// Somebody who is signed in on it.
    pub async fn person(&self) -> Person {
        let person = Person::at(&self.address);
        let session = SignedIn {
            user_id: String::new(),
            session_id: String::new(),
            access_token: "e30.e30.x".to_owned(),
            refresh_token: "rcr_x".to_owned(),
            session: v1::Session::default(),
        };
        person.keep(&session).await;
        person
    }

    pub fn requests(&self) -> Vec<v1::RevokeSessionsRequest> {
        self.requests.lock().expect("no panic").clone()
    }

    /// The cursors that the streams were opened with.
    pub fn cursors(&self) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests.map(|request| request.cursor).collect()
    }
}

#[tonic::async_trait]
impl SessionAdmin for Fake {
    type RevokeSessionsStream = Iter<std::vec::IntoIter<Message>>;

    async fn revoke_sessions(
        &self,
        request: Request<v1::RevokeSessionsRequest>,
    ) -> Result<Response<Self::RevokeSessionsStream>, Status> {
        let mut requests = self.requests.lock().expect("no panic");
        requests.push(request.into_inner());
        let script = self.scripts.lock().expect("no panic").pop_front();
        Ok(Response::new(stream::iter(script.expect("a script"))))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let size = usize::try_from(request.get_ref().page_size).expect("a size");
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: vec![v1::Session::default(); size],
            next_page_token: "more".to_owned(),
        }))
    }

    async fn get_session(
        &self,
        _: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::GetSessionResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn revoke_session(
        &self,
        _: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn revoke_user_sessions(
        &self,
        _: Request<v1::RevokeUserSessionsRequest>,
    ) -> Result<Response<v1::RevokeUserSessionsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn get_session_stats(
        &self,
        _: Request<v1::GetSessionStatsRequest>,
    ) -> Result<Response<v1::GetSessionStatsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}
