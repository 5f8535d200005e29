//! `rollcall users import`: JSON lines, as a stream.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use futures_util::stream;
use prost::Message;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    command::{
        Failure,
        credentials::of_file,
        reflect::from_json,
        remote::{Remote, ask},
        terminal::Progress,
        text::{count, number, plain},
    },
    config::ImportUsers,
    proto::v1,
};

/// The most bytes of a message that a server takes.
const LONGEST: usize = 64 * 1024;
/// How many users wait to be sent, at most.
const WAITING: usize = 1_000;

pub(super) async fn import(options: &ImportUsers) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        check_sign_in(remote).await?;
        let (sender, mut users) = mpsc::channel(WAITING);
        let lines = Lines::read(&options.file, sender)?;
        let users = stream::poll_fn(move |context| users.poll_recv(context));
        let token = remote.source.access_token().await?;
        let reply = remote.users().import_users(token.request(users)).await;
        let mut reply = reply?.into_inner();
        let malformed = lines.finish(&reply)?;
        reply.failed_user_count += malformed;
        let failed = reply.failed_user_count;
        let sentence = format!(
            "imported {}, passed over {} that exist, failed {}",
            count(reply.imported_user_count, "user"),
            number(reply.existing_user_count),
            number(failed)
        );
        output.sentence(&reply, &sentence)?;
        match failed {
            0 => Ok(()),
            failed => Err(Failure::Refused(format!(
                "{} could not be imported",
                count(failed, "user")
            ))),
        }
    })
    .await
}

/// A token that has to be replaced is found out before the file is read.
async fn check_sign_in(remote: &Remote) -> Result<(), Failure> {
    let request = v1::ListMySessionsRequest {
        page_size: 1,
        ..v1::ListMySessionsRequest::default()
    };
    let list = async |request| remote.auth().list_my_sessions(request).await;
    remote.call(request, list).await?;
    Ok(())
}

/// The lines of a file that become users, one after the other.
struct Lines {
    seen: Arc<Mutex<Seen>>,
}

/// Which lines were read, and what was wrong with some of them.
#[derive(Default)]
struct Seen {
    /// How many users were sent.
    sent: u64,
    /// From which user on a line's number is so much more than the user's place.
    offsets: Vec<(u64, u64)>,
    /// How many lines were no user.
    malformed: u64,
    /// Why the file could not be read to its end.
    broken: Option<io::Error>,
}

impl Lines {
    /// Begins to read; what is no user is told at once.
    fn read(path: &Path, users: mpsc::Sender<v1::ImportUsersRequest>) -> Result<Self, Failure> {
        let input: Box<dyn BufRead + Send> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file = File::open(path).map_err(|error| of_file(path, &error))?;
            Box::new(BufReader::new(file))
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        // A thread of its own: the process does not wait for an input that never ends.
        thread::spawn(move || {
            let result = send_lines(input, &users, &shared);
            lock(&shared).broken = result.err();
        });
        Ok(Self { seen })
    }

    /// Tells which lines failed on the server, and answers how many were no user.
    fn finish(&self, reply: &v1::ImportUsersResponse) -> Result<u64, Failure> {
        let mut seen = lock(&self.seen);
        for failure in &reply.failures {
            let line = seen.line_of(failure.index);
            let (field, why) = (plain(&failure.field), plain(&failure.description));
            eprintln!("line {line}: {field}: {why}");
        }
        let named = reply.failures.len() as u64;
        let unnamed = reply.failed_user_count.saturating_sub(named);
        if unnamed > 0 {
            eprintln!("and {} more", number(unnamed));
        }
        match seen.broken.take() {
            Some(error) => Err(error.into()),
            None => Ok(seen.malformed),
        }
    }
}

impl Seen {
    /// The number of the line that the user at this place in the stream is from.
    fn line_of(&self, index: u64) -> u64 {
        let before = self.offsets.iter().rev().find(|(from, _)| *from <= index);
        index + 1 + before.map_or(0, |(_, offset)| *offset)
    }

    /// A line is no user.
    fn skip(&mut self) {
        let offset = self.offsets.last().map_or(0, |(_, offset)| *offset) + 1;
        match self.offsets.last_mut() {
            Some(last) if last.0 == self.sent => last.1 = offset,
            _ => self.offsets.push((self.sent, offset)),
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send_lines(
    mut input: Box<dyn BufRead + Send>,
    users: &mpsc::Sender<v1::ImportUsersRequest>,
    seen: &Mutex<Seen>,
) -> io::Result<()> {
    let (mut line, mut number, mut progress) = (Vec::new(), 0_u64, Progress::begin());
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            lock(seen).skip();
            continue;
        }
        match parse(&line) {
            Ok(user) => {
                // Whoever waited for it is gone, and says why.
                if users.blocking_send(user).is_err() {
                    return Ok(());
                }
                lock(seen).sent += 1;
            }
            Err(why) => {
                progress.note(&format!("line {number}: {}", plain(&why)));
                let mut seen = lock(seen);
                seen.skip();
                seen.malformed += 1;
            }
        }
        progress.tell(|| format!("line {number}"));
    }
}

/// A user to import, or one that was exported.
fn parse(line: &[u8]) -> Result<v1::ImportUsersRequest, String> {
    // It names the place, and quotes no value: there is a hash in it.
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let is_exported = ["userId", "user_id"]
        .iter()
        .any(|key| value.get(key).is_some());
    let user = if is_exported {
        from_json(&value).map(exported)
    } else {
        from_json(&value)
    };
    let user: v1::ImportUsersRequest = user.map_err(|failure| failure.to_string())?;
    if user.encoded_len() > LONGEST {
        return Err("is longer than 64 KiB".to_owned());
    }
    Ok(user)
}

/// A user that another server exported: it has no password.
fn exported(user: v1::User) -> v1::ImportUsersRequest {
    let mut logins = user.logins;
    logins.retain(|login| login.login != user.login);
    v1::ImportUsersRequest {
        login: user.login,
        password_hash: String::new(),
        display_name: user.display_name,
        roles: user.roles,
        disabled: user.disabled,
        additional_logins: logins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_in_the_stream_is_a_line_whatever_was_passed_over() {
        let mut seen = Seen::default();
        // Lines: user, blank, blank, user, user, bad, user.
        for is_user in [true, false, false, true, true, false, true] {
            if is_user {
                seen.sent += 1;
            } else {
                seen.skip();
            }
        }
        let lines: Vec<_> = (0..4).map(|index| seen.line_of(index)).collect();
        assert_eq!(lines, [1, 4, 5, 7]);
    }

    #[test]
    fn line_of_an_export_is_a_user_to_import() {
        let line = br#"{"userId":"u","login":"ana","roles":["a"],"createTime":"2026-11-25T00:00:00Z","logins":[{"login":"ana","kind":"LOGIN_KIND_USERNAME"},{"login":"ana@example.com","kind":"LOGIN_KIND_EMAIL"}]}"#;
        let user = parse(line).unwrap();
        assert_eq!(
            (user.login.as_str(), &*user.roles),
            ("ana", &["a".to_owned()][..])
        );
        assert_eq!(user.additional_logins[0].login, "ana@example.com");
        assert_eq!(user.additional_logins.len(), 1);
    }

    #[test]
    fn line_that_is_no_user_says_why_and_quotes_no_hash() {
        let unknown = parse(br#"{"login":"ana","hash":"$2b$12$secret"}"#).unwrap_err();
        assert!(
            unknown.contains("hash") && !unknown.contains("secret"),
            "{unknown}"
        );
        let cut = parse(br#"{"passwordHash":"$2b$12$secret"#).unwrap_err();
        assert!(!cut.contains("secret"), "{cut}");
        let long = format!(r#"{{"login":"{}"}}"#, "a".repeat(LONGEST));
        assert!(parse(long.as_bytes()).unwrap_err().contains("64 KiB"));
    }
}
