//! `rollcall sessions revoke-all`: counts, shows some, asks, ends, and goes on by itself
//! where the stream breaks.

use tonic::Status;

use super::{SAMPLE, fetch};
use crate::{
    command::{
        Failure, Output, Resume, filter, pages,
        remote::{Remote, ask},
        terminal::{self, Progress},
        text::{count, number},
    },
    config::{Format, RevokeAllSessions},
    proto::v1,
};

/// What is said where there is nothing to end.
const NONE: &str = "no live session meets the filter";

pub(super) async fn revoke_all(options: &RevokeAllSessions) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let filter = filter::sessions(&options.filter);
        if options.dry_run {
            let found = Sweep::count(&filter).run(remote).await?;
            show_sample(remote, output, &filter).await?;
            let sessions = count(found.revoked_session_count, "session");
            return output.sentence(&found, &format!("{sessions} would be ended"));
        }
        if !options.confirm.yes && !confirm(options, remote, output, &filter).await? {
            return output.sentence(&v1::RevokeSessionsResponse::default(), NONE);
        }
        let ended = Sweep::end(&filter).run(remote).await?;
        if ended.revoked_session_count == 0 {
            return output.sentence(&ended, NONE);
        }
        let sessions = count(ended.revoked_session_count, "session");
        output.sentence(&ended, &format!("ended {sessions}"))
    })
    .await
}

/// Asks, unless there is nothing to end: whether there is.
async fn confirm(
    options: &RevokeAllSessions,
    remote: &Remote,
    output: &mut Output,
    filter: &v1::SessionFilter,
) -> Result<bool, Failure> {
    // Before anything is counted, where it is in vain.
    terminal::require(options.confirm)?;
    let found = Sweep::count(filter).run(remote).await?;
    let found = found.revoked_session_count;
    if found == 0 {
        return Ok(false);
    }
    show_sample(remote, output, filter).await?;
    let question = format!("End {}? Type the number:", count(found, "session"));
    // With the comma as it is shown, or without.
    terminal::confirm_one_of(&question, &[found.to_string(), number(found)])?;
    Ok(true)
}

/// Shows the first sessions that the filter meets, for people.
async fn show_sample(
    remote: &Remote,
    output: &mut Output,
    filter: &v1::SessionFilter,
) -> Result<(), Failure> {
    if output.format() == Format::Json {
        return Ok(());
    }
    let page = pages::Page {
        size: i32::try_from(SAMPLE).unwrap_or(1),
        token: String::new(),
    };
    let (sessions, _) = fetch(remote, filter, page).await?;
    output.items(&sessions)
}

/// One call of `RevokeSessions`, in as many streams as it takes.
struct Sweep<'a> {
    filter: &'a v1::SessionFilter,
    validate_only: bool,
    cursor: String,
    /// What the streams before have done, and this one.
    before: v1::RevokeSessionsResponse,
    now: v1::RevokeSessionsResponse,
    progress: Progress,
}

impl<'a> Sweep<'a> {
    fn count(filter: &'a v1::SessionFilter) -> Self {
        Self::new(filter, true)
    }

    fn end(filter: &'a v1::SessionFilter) -> Self {
        Self::new(filter, false)
    }

    fn new(filter: &'a v1::SessionFilter, validate_only: bool) -> Self {
        Self {
            filter,
            validate_only,
            cursor: String::new(),
            before: v1::RevokeSessionsResponse::default(),
            now: v1::RevokeSessionsResponse::default(),
            progress: Progress::begin(),
        }
    }

    /// Runs to the end, and answers the numbers of all streams together.
    async fn run(mut self, remote: &Remote) -> Result<v1::RevokeSessionsResponse, Failure> {
        let mut resume = Resume::default();
        loop {
            match self.stream(remote, &mut resume).await {
                Ok(None) => return Ok(self.total()),
                Ok(Some(broken)) => {
                    self.before = self.total();
                    self.now = v1::RevokeSessionsResponse::default();
                    self.progress.note("the connection broke; going on");
                    if let Err(failure) = resume.wait(broken).await {
                        return Err(self.broken_off(failure));
                    }
                }
                Err(failure) => return Err(self.broken_off(failure)),
            }
        }
    }

    /// One stream: `None` where it came to its end, or why it broke.
    async fn stream(
        &mut self,
        remote: &Remote,
        resume: &mut Resume,
    ) -> Result<Option<Status>, Failure> {
        let request = v1::RevokeSessionsRequest {
            filter: Some(self.filter.clone()),
            validate_only: self.validate_only,
            cursor: self.cursor.clone(),
        };
        let revoke = async |request| remote.sessions().revoke_sessions(request).await;
        let mut stream = match remote.open_stream(request, revoke).await {
            Ok(stream) => stream,
            Err(failure) => return resume.again(failure).map(Some),
        };
        let mut is_done = false;
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    resume.goes_on();
                    is_done = message.cursor.is_empty();
                    self.cursor.clone_from(&message.cursor);
                    self.now = message;
                    self.tell();
                }
                Ok(None) if is_done => return Ok(None),
                Ok(None) => return Ok(Some(Status::unavailable("the stream ended early"))),
                Err(status) => return Ok(Some(status)),
            }
        }
    }

    fn tell(&mut self) {
        let total = self.total();
        let done = if self.validate_only {
            "counted"
        } else {
            "ended"
        };
        self.progress.tell(|| {
            format!(
                "{done} {} of {} examined",
                count(total.revoked_session_count, "session"),
                number(total.examined_session_count)
            )
        });
    }

    fn total(&self) -> v1::RevokeSessionsResponse {
        let (before, now) = (&self.before, &self.now);
        v1::RevokeSessionsResponse {
            revoked_session_count: before.revoked_session_count + now.revoked_session_count,
            examined_session_count: before.examined_session_count + now.examined_session_count,
            cursor: String::new(),
        }
    }

    /// The failure, with how far it was.
    fn broken_off(&mut self, failure: Failure) -> Failure {
        let ended = self.total().revoked_session_count;
        if ended > 0 && !self.validate_only {
            let ended = count(ended, "session");
            self.progress
                .note(&format!("broken off after {ended}; run it again to go on"));
        }
        failure
    }
}
