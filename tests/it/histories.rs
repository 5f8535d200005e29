//! Random histories of a user's sessions, a thief who copied tokens at any moment, an
//! operator and a database that loses commits: told to the server and to a small model
//! of the design's table of verdicts, which must agree about every answer.

mod model;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rollcall::{model::ids::UserId, proto::v1};
use tonic::Status;

use model::{Answer, Maker, Session, Token};

use crate::harness::{
    Harness, LONG_WINDOWS, SignedIn, commitment, device, end_reason, reason, request_id, successor,
};

/// One thing that happens. Sessions and devices are counted round.
#[derive(Clone, Debug)]
enum Step {
    /// Whoever has the token that was issued so many tokens before the last uses it, at
    /// once or when the last refresh is so many minutes ago.
    Refresh {
        session: usize,
        back: usize,
        name: Name,
        minutes: Option<u32>,
    },
    LogOut {
        session: usize,
        back: usize,
    },
    SignIn {
        device: usize,
    },
    Revoke {
        session: usize,
    },
    RevokeAll,
    Expire {
        session: usize,
    },
    LoseCommit {
        session: usize,
    },
}

/// The `request_id` of a refresh.
#[derive(Clone, Copy, Debug)]
enum Name {
    New,
    None,
    /// The one that was last used with this token.
    Again,
    /// The one that made this token.
    Parent,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..6_usize;
    let back = || prop_oneof![12 => Just(0_usize), 5 => Just(1), 1 => 2..6_usize];
    let name = prop_oneof![
        4 => Just(Name::New),
        2 => Just(Name::None),
        6 => Just(Name::Again),
        1 => Just(Name::Parent),
    ];
    let minutes = prop_oneof![
        4 => Just(None),
        1 => Just(Some(90)),
        1 => Just(Some(150)),
    ];
    let refresh = (session.clone(), back(), name, minutes);
    prop_oneof![
        40 => refresh.prop_map(|(session, back, name, minutes)| {
            Step::Refresh { session, back, name, minutes }
        }),
        1 => (session.clone(), back()).prop_map(|(session, back)| Step::LogOut { session, back }),
        4 => (0..3_usize).prop_map(|device| Step::SignIn { device }),
        1 => session.clone().prop_map(|session| Step::Revoke { session }),
        1 => Just(Step::RevokeAll),
        1 => session.clone().prop_map(|session| Step::Expire { session }),
        5 => session.prop_map(|session| Step::LoseCommit { session }),
    ]
}

/// The server and the model side by side.
struct World<'a> {
    it: &'a Harness,
    admin: &'a SignedIn,
    login: String,
    user_id: UserId,
    sessions: Vec<Session>,
}

impl World<'_> {
    fn session(&mut self, counted_round: usize) -> &mut Session {
        let count = self.sessions.len();
        &mut self.sessions[counted_round % count]
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Refresh {
                session,
                back,
                name,
                minutes,
            } => {
                if let Some(minutes) = minutes {
                    self.session(session).age = minutes;
                    let ago = format!("rotated_at = now() - interval '{minutes} min'");
                    self.set(session, &ago).await;
                }
                self.refresh(session, back, name).await;
            }
            Step::LogOut { session, back } => self.log_out(session, back).await,
            Step::SignIn { device } => self.sign_in(device).await,
            Step::Revoke { session } => self.revoke(session).await,
            Step::RevokeAll => self.revoke_all().await,
            Step::Expire { session } => {
                self.session(session).expire();
                // Once it has expired, it does not expire again later.
                self.set(session, "idle_expires_at = least(idle_expires_at, now())")
                    .await;
            }
            Step::LoseCommit { session } => self.lose_commit(session).await,
        }
    }

    async fn set(&mut self, session: usize, assignment: &str) {
        let id = self.session(session).id.clone();
        let update = format!("UPDATE sessions SET {assignment} WHERE id = '{id}'");
        self.it.sql(&update).await;
    }

    async fn sign_in(&mut self, device: usize) {
        let on = self::device(&format!("device-{device}"));
        let signed_in = self.it.sign_in_on(&self.login, on).await;
        for earlier in &mut self.sessions {
            if earlier.device == device {
                earlier.end("REPLACED");
            }
        }
        let (id, token) = (signed_in.session_id, signed_in.refresh_token);
        self.sessions.push(Session::new(id, device, token));
    }

    async fn refresh(&mut self, session: usize, back: usize, name: Name) {
        let it = self.it;
        let session = self.session(session);
        let token = session.token(back);
        let maker = match name {
            Name::New => None,
            Name::None => Some(Maker::Unnamed(token.text.clone())),
            Name::Again => session.used.get(&token.text).cloned(),
            Name::Parent => Some(token.maker.clone()).filter(|m| matches!(m, Maker::Named(_))),
        };
        let maker = maker.unwrap_or_else(|| Maker::Named(request_id()));
        session.used.insert(token.text.clone(), maker.clone());
        let id = match &maker {
            Maker::Named(id) => id,
            _ => "",
        };
        let answer = it.refresh(&token.text, id).await;
        let expected = session.judge(&token, maker);
        check(session, expected, answer);
    }

    async fn log_out(&mut self, session: usize, back: usize) {
        let mut auth = self.it.auth();
        let session = self.session(session);
        let refresh_token = session.token(back).text;
        session.end("LOGGED_OUT");
        let request = v1::LogoutRequest { refresh_token };
        auth.logout(request).await.expect("logs out");
    }

    async fn revoke(&mut self, session: usize) {
        let session = self.session(session);
        session.end("REVOKED_BY_ADMIN");
        let session_id = session.id.clone();
        let request = v1::RevokeSessionRequest { session_id };
        let request = self.admin.request(request);
        let reply = self.it.session_admin().revoke_session(request).await;
        reply.expect("revokes");
    }

    async fn revoke_all(&mut self) {
        let request = self.admin.request(v1::RevokeUserSessionsRequest {
            user_id: self.user_id.to_string(),
            except_session_ids: Vec::new(),
        });
        let reply = self.it.session_admin().revoke_user_sessions(request).await;
        let revoked = reply.expect("revokes").into_inner().revoked_session_count;
        let live = self.sessions.iter().filter(|s| s.dead.is_none());
        assert_eq!(live.count(), revoked as usize);
        // What has expired is ended as well, should a refresh be reviving it.
        for session in &mut self.sessions {
            session.end("REVOKED_BY_ADMIN");
        }
    }

    async fn lose_commit(&mut self, session: usize) {
        let database = &self.it.database;
        let session = self.session(session);
        if session.lineage.len() == 1 {
            return;
        }
        session.lineage.pop();
        let parent = session.lineage.len().checked_sub(2).map(|generation| {
            let maker = &session.lineage[generation];
            let mut issued = session.issued.iter();
            let token = issued.find(|t| t.generation == generation && t.maker == *maker);
            commitment(&token.expect("was issued").text)
        });
        database.lose_commit(&session.id, parent).await;
    }
}

/// Compares the server's answer with the model's and keeps the successor.
fn check(session: &mut Session, expected: Answer, answer: Result<v1::RefreshResponse, Status>) {
    let (generation, maker) = match (expected, &answer) {
        (Answer::Successor { generation, maker }, Ok(_)) => (generation, maker),
        (Answer::Refused(why), Err(status)) => return assert_eq!(reason(status), why),
        (Answer::Ended(why), Err(status)) => return assert_eq!(end_reason(status), why),
        (expected, answer) => panic!("expected {expected:?}, not {answer:?}"),
    };
    let reply = answer.expect("good");
    let text = successor(&reply).to_owned();
    let told = reply.session.expect("a session").generation;
    assert_eq!(told as usize, generation);
    let mut issued = session.issued.iter();
    match issued.find(|token| token.generation == generation && token.maker == maker) {
        Some(known) => assert_eq!(text, known.text, "the same successor"),
        None => {
            assert!(session.issued.iter().all(|token| token.text != text));
            session.issued.push(Token {
                text,
                generation,
                maker,
            });
        }
    }
}

async fn tell(it: &Harness, admin: &SignedIn, history: &[Step]) {
    let login = format!("ana-{}", request_id());
    let mut world = World {
        it,
        admin,
        user_id: it.create_user(&login, &[]).await,
        login,
        sessions: Vec::new(),
    };
    for device in 0..2 {
        world.sign_in(device).await;
    }
    for step in history {
        world.take(step).await;
    }
    for session in &world.sessions {
        let standing = it.database.standing(&session.id).await;
        let expected = session.end_reason.map(str::to_owned);
        assert_eq!(standing, (session.lineage.len() as i64 - 1, expected));
    }
}

#[test]
fn every_history_goes_as_the_model_says() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let it = runtime.block_on(Harness::with(&LONG_WINDOWS));
    let admin = runtime.block_on(it.admin());
    let config = Config {
        cases: 32,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let told = TestRunner::new(config).run(&vec(step(), 1..=40), |history| {
        runtime.block_on(tell(&it, &admin, &history));
        Ok(())
    });
    if let Err(error) = told {
        panic!("{error}");
    }
}
