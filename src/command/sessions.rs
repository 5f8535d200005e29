//! `rollcall sessions`.

mod revoke_all;
mod revoke_user;

use super::{
    Failure, filter, pages,
    remote::{Remote, ask},
    text::{count, plain, time, word},
};
use crate::{
    config::{
        Format, GetSession, ListSessions, MySessions, RemoteOptions, RevokeSessions, Sessions,
    },
    proto::v1,
};

pub(super) async fn sessions(command: Sessions) -> Result<(), Failure> {
    match command {
        Sessions::List(options) => list(&options).await,
        Sessions::Get(options) => get(&options).await,
        Sessions::Revoke(options) => revoke(&options).await,
        Sessions::RevokeUser(options) => revoke_user::revoke_user(&options).await,
        Sessions::RevokeAll(options) => revoke_all::revoke_all(&options).await,
        Sessions::Stats(options) => stats(&options).await,
        Sessions::Mine(options) => mine(&options).await,
    }
}

/// How many sessions are shown before they are ended.
const SAMPLE: usize = 10;

async fn list(options: &ListSessions) -> Result<(), Failure> {
    let most = options.limit.most(options.remote.output);
    ask(&options.remote, async |remote, output| {
        let filter = v1::SessionFilter {
            include_ended: options.include_ended,
            ..filter::sessions(&options.filter)
        };
        pages::show(output, most, async |page| {
            fetch(remote, &filter, page).await
        })
        .await?;
        Ok(())
    })
    .await
}

async fn fetch(
    remote: &Remote,
    filter: &v1::SessionFilter,
    page: pages::Page,
) -> Result<(Vec<v1::Session>, String), Failure> {
    let request = v1::ListSessionsRequest {
        filter: Some(filter.clone()),
        page_size: page.size,
        page_token: page.token,
    };
    let list = async |request| remote.sessions().list_sessions(request).await;
    let reply = remote.call(request, list).await?;
    Ok((reply.sessions, reply.next_page_token))
}

async fn get(options: &GetSession) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let request = v1::GetSessionRequest {
            session_id: options.session_id.clone(),
        };
        let get = async |request| remote.sessions().get_session(request).await;
        let reply = remote.call(request, get).await?;
        output.record(&reply, reply.session.as_ref())
    })
    .await
}

/// Goes on after one that cannot be ended, unless no other can either.
async fn revoke(options: &RevokeSessions) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let mut failed = 0;
        for session_id in &options.session_ids {
            let request = v1::RevokeSessionRequest {
                session_id: session_id.clone(),
            };
            let revoke = async |request| remote.sessions().revoke_session(request).await;
            match remote.call(request, revoke).await {
                Ok(reply) => {
                    let session = reply.session.clone().unwrap_or_default();
                    let reason = word(session.end_reason().as_str_name(), "SESSION_END_REASON_");
                    let sentence = format!(
                        "{} has ended: {reason} at {}",
                        plain(session_id),
                        time(session.end_time.as_ref())
                    );
                    output.sentence(&reply, &sentence)?;
                }
                Err(Failure::Refused(why)) => {
                    eprintln!("rollcall: {}: {why}", plain(session_id));
                    failed += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
        match failed {
            0 => Ok(()),
            failed => Err(Failure::Refused(format!(
                "{} could not be ended",
                count(failed, "session")
            ))),
        }
    })
    .await
}

async fn stats(options: &RemoteOptions) -> Result<(), Failure> {
    ask(options, async |remote, output| {
        let get = async |request| remote.sessions().get_session_stats(request).await;
        let reply = remote.call(v1::GetSessionStatsRequest {}, get).await?;
        if output.format() == Format::Json {
            return output.json_lines(&[reply]);
        }
        let total = v1::GetSessionStatsResponse {
            clients: Vec::new(),
            days: Vec::new(),
            ..reply.clone()
        };
        output.fields(&total)?;
        output.another_table()?;
        output.items(&reply.clients)?;
        output.another_table()?;
        output.items(&reply.days)
    })
    .await
}

async fn mine(options: &MySessions) -> Result<(), Failure> {
    let most = options.limit.most(options.remote.output);
    ask(&options.remote, async |remote, output| {
        let mut current = String::new();
        pages::show(output, most, async |page| {
            let request = v1::ListMySessionsRequest {
                page_size: page.size,
                page_token: page.token,
            };
            let list = async |request| remote.auth().list_my_sessions(request).await;
            let reply = remote.call(request, list).await?;
            current = reply.current_session_id;
            Ok((reply.sessions, reply.next_page_token))
        })
        .await?;
        if output.format() == Format::Table {
            eprintln!("this session is {}", plain(&current));
        }
        Ok(())
    })
    .await
}
