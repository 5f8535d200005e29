//! `rollcall audit`.

use std::pin::pin;

use tonic::Status;

use super::{
    Failure, Output, Resume,
    cursor_file::CursorFile,
    filter::time_range,
    pages,
    remote::{Remote, ask, export},
    serve::shutdown_signal,
    terminal::Progress,
    text::number,
};
use crate::{
    config::{Audit, EventFilter, EventTimes, ExportEvents, ListEvents, WatchEvents},
    proto::v1::{self, EventKind},
};

pub(super) async fn audit(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::List(options) => list(&options).await,
        Audit::Watch(options) => watch(&options).await,
        Audit::Export(options) => export_events(&options).await,
    }
}

async fn list(options: &ListEvents) -> Result<(), Failure> {
    let most = options.limit.most(options.remote.output);
    ask(&options.remote, async |remote, output| {
        let filter = filter(remote, &options.filter, Some(&options.times)).await?;
        pages::show(output, most, async |page| {
            fetch(remote, &filter, page).await
        })
        .await?;
        Ok(())
    })
    .await
}

async fn export_events(options: &ExportEvents) -> Result<(), Failure> {
    export(&options.session, async |remote, output| {
        let filter = filter(remote, &options.filter, Some(&options.times)).await?;
        let (mut progress, mut written) = (Progress::begin(), 0);
        pages::show(output, None, async |page| {
            let (events, next) = fetch(remote, &filter, page).await?;
            written += events.len() as u64;
            progress.tell(|| format!("{} events", number(written)));
            Ok((events, next))
        })
        .await?;
        Ok(())
    })
    .await
}

async fn fetch(
    remote: &Remote,
    filter: &v1::EventFilter,
    page: pages::Page,
) -> Result<(Vec<v1::Event>, String), Failure> {
    let request = v1::ListEventsRequest {
        filter: Some(filter.clone()),
        page_size: page.size,
        page_token: page.token,
    };
    let list = async |request| remote.audit().list_events(request).await;
    let reply = remote.call(request, list).await?;
    Ok((reply.events, reply.next_page_token))
}

async fn watch(options: &WatchEvents) -> Result<(), Failure> {
    let mut interrupted = pin!(shutdown_signal()?);
    let file = CursorFile::at(options.cursor_file.as_ref());
    ask(&options.remote, async |remote, output| {
        let mut watch = Watch {
            filter: filter(remote, &options.filter, None).await?,
            cursor: file.read()?,
            file,
            resume: Resume::default(),
        };
        tokio::select! {
            result = watch.follow(remote, output) => result,
            () = &mut interrupted => Ok(()),
        }
    })
    .await
}

/// One watch, in as many streams as it takes.
struct Watch<'a> {
    filter: v1::EventFilter,
    cursor: String,
    file: CursorFile<'a>,
    resume: Resume,
}

impl Watch<'_> {
    /// Shows events until it fails for good.
    async fn follow(&mut self, remote: &Remote, output: &mut Output) -> Result<(), Failure> {
        loop {
            let broken = self.stream(remote, output).await?;
            self.resume.wait(broken).await?;
        }
    }

    /// Shows the events of one stream, and answers why it broke.
    async fn stream(&mut self, remote: &Remote, output: &mut Output) -> Result<Status, Failure> {
        let request = v1::WatchEventsRequest {
            filter: Some(self.filter.clone()),
            cursor: self.cursor.clone(),
        };
        let watch = async |request| remote.audit().watch_events(request).await;
        let mut stream = match remote.open_stream(request, watch).await {
            Ok(stream) => stream,
            Err(failure) => return self.resume.again(failure),
        };
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    self.show(&message, output)?;
                    self.cursor = message.cursor;
                    self.resume.goes_on();
                }
                Ok(None) => return Ok(Status::unavailable("the stream ended")),
                Err(status) => return Ok(status),
            }
        }
    }

    /// Shows the events of a message, then keeps its cursor. Nothing is awaited in between,
    /// so that an interruption does not come there.
    fn show(&self, message: &v1::WatchEventsResponse, output: &mut Output) -> Result<(), Failure> {
        output.items(&message.events)?;
        if self.file.is_kept() && message.cursor != self.cursor {
            // A cursor that survives a crash which its events do not would lose them.
            output.sync()?;
            self.file.write(&message.cursor)?;
        }
        Ok(())
    }
}

async fn filter(
    remote: &Remote,
    options: &EventFilter,
    times: Option<&EventTimes>,
) -> Result<v1::EventFilter, Failure> {
    let id = async |user: &Option<String>| match user {
        Some(user) => remote.user_id(user).await,
        None => Ok(String::new()),
    };
    let kinds = options.kinds.iter().map(|name| kind(name));
    Ok(v1::EventFilter {
        user_id: id(&options.user).await?,
        session_id: options.session_id.clone().unwrap_or_default(),
        actor_user_id: id(&options.actor).await?,
        kinds: kinds.collect::<Result<_, _>>()?,
        create_time: times.and_then(|times| time_range(times.after, times.before)),
    })
}

/// The kind of event that `signed-in`, `SIGNED_IN` or `EVENT_KIND_SIGNED_IN` means.
fn kind(name: &str) -> Result<i32, Failure> {
    let word = name.to_uppercase().replace('-', "_");
    let word = word.strip_prefix("EVENT_KIND_").unwrap_or(&word);
    let kind = EventKind::from_str_name(&format!("EVENT_KIND_{word}"));
    match kind {
        Some(kind) if kind != EventKind::Unspecified => Ok(kind.into()),
        _ => Err(Failure::Usage(format!(
            "--kind: there is no kind of event `{}`",
            super::text::plain(name)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_the_table_shows_them_or_as_the_proto_has_them() {
        let signed_in = i32::from(EventKind::SignedIn);
        for name in ["signed-in", "SIGNED_IN", "EVENT_KIND_SIGNED_IN"] {
            assert_eq!(kind(name).unwrap(), signed_in, "{name}");
        }
        for bad in ["", "unspecified", "signedin"] {
            assert_eq!(kind(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
