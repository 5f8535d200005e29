//! `rollcall sessions revoke-user`: counts, shows some, asks, ends.

use uuid::Uuid;

use super::{SAMPLE, fetch};
use crate::{
    command::{
        Failure, Output, pages,
        remote::{Remote, ask},
        terminal,
        text::{count, plain},
    },
    config::{Format, RevokeUserSessions},
    proto::v1::{self, session_filter::User},
};

pub(super) async fn revoke_user(options: &RevokeUserSessions) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let is_asked = !options.dry_run && !options.confirm.yes;
        if is_asked {
            // Before anything is counted, where it is in vain.
            terminal::require(options.confirm)?;
        }
        let user = remote.user(&options.user).await?;
        let login = plain(&user.login);
        if options.dry_run || is_asked {
            let found = find(options, remote, &user.user_id).await?;
            found.show(output)?;
            let sessions = count(found.count.into(), "session");
            if options.dry_run || found.count == 0 {
                let sentence = format!("{sessions} of {login} would be ended");
                return output.sentence(&found.reply(), &sentence);
            }
            let question = format!("End {sessions} of {login}?");
            terminal::confirm(options.confirm, &question)?;
        }
        let request = v1::RevokeUserSessionsRequest {
            user_id: user.user_id,
            except_session_ids: options.except.clone(),
        };
        let revoke = async |request| remote.sessions().revoke_user_sessions(request).await;
        let reply = remote.call(request, revoke).await?;
        let ended = count(reply.revoked_session_count.into(), "session");
        output.sentence(&reply, &format!("ended {ended} of {login}"))
    })
    .await
}

/// The sessions that would be ended, and the first of them.
#[derive(Default)]
struct Found {
    count: u32,
    sample: Vec<v1::Session>,
}

impl Found {
    fn add(&mut self, session: v1::Session) {
        self.count += 1;
        if self.sample.len() < SAMPLE {
            self.sample.push(session);
        }
    }

    /// Shows them to people.
    fn show(&self, output: &mut Output) -> Result<(), Failure> {
        match output.format() {
            Format::Table => output.items(&self.sample),
            Format::Json => Ok(()),
        }
    }

    /// As the server answers when it has ended them.
    fn reply(&self) -> v1::RevokeUserSessionsResponse {
        v1::RevokeUserSessionsResponse {
            revoked_session_count: self.count,
        }
    }
}

/// Looks by a list, since a dry run of `RevokeSessions` knows no exceptions, and passes over
/// the session that calls, which this does not.
async fn find(
    options: &RevokeUserSessions,
    remote: &Remote,
    user_id: &str,
) -> Result<Found, Failure> {
    let id = |text: &str| Uuid::parse_str(text).ok();
    let kept: Vec<_> = options.except.iter().map(|text| id(text)).collect();
    let filter = v1::SessionFilter {
        user: Some(User::UserId(user_id.to_owned())),
        ..v1::SessionFilter::default()
    };
    let (mut found, mut page) = (Found::default(), pages::Page::first());
    loop {
        let (sessions, next) = fetch(remote, &filter, page).await?;
        let ended = sessions.into_iter();
        let ended = ended.filter(|session| !kept.contains(&id(&session.session_id)));
        ended.for_each(|session| found.add(session));
        if next.is_empty() {
            return Ok(found);
        }
        page = pages::Page::after(next);
    }
}
