//! Which passwords can be set: the same on each of the four ways to set one.

use rollcall::proto::v1;
use tonic::Status;

use super::{assert_password, change, register, try_sign_in};
use crate::harness::{Harness, PASSWORD, SignedIn, fresh_login, reason, violated_fields};

/// The names of every user here.
const LOGIN: &str = "meadowlark.finch";
const DISPLAY_NAME: &str = "Brünhilde von Hohenstaufen";

const WAYS: [&str; 4] = ["Register", "CreateUser", "SetPassword", "ChangePassword"];

/// A server that takes registrations, and an operator.
struct World {
    it: Harness,
    admin: SignedIn,
}

impl World {
    async fn with(options: &[&str]) -> Self {
        let options = [options, &["--registration"]].concat();
        let it = Harness::with(&options).await;
        let admin = it.admin().await;
        Self { it, admin }
    }

    /// Sets a password in one of the ways, for a user with the names above, and answers
    /// with the login.
    async fn set(&self, way: &str, password: &str) -> Result<String, Status> {
        let (it, admin) = (&self.it, &self.admin);
        let login = format!("{}-{LOGIN}", fresh_login());
        match way {
            "Register" => {
                let request = v1::RegisterRequest {
                    login: login.clone(),
                    password: password.to_owned(),
                    display_name: DISPLAY_NAME.to_owned(),
                };
                it.auth().register(request).await?;
            }
            "CreateUser" => self.create(&login, password).await.map(drop)?,
            "SetPassword" => {
                let user_id = self.create(&login, PASSWORD).await.expect("created");
                let request = v1::SetPasswordRequest {
                    user_id,
                    new_password: password.to_owned(),
                };
                it.user_admin().set_password(admin.request(request)).await?;
            }
            "ChangePassword" => {
                self.create(&login, PASSWORD).await.expect("created");
                let caller = it.sign_in(&login).await;
                change(it, &caller, PASSWORD, password).await?;
            }
            other => panic!("{other} sets no password"),
        }
        Ok(login)
    }

    async fn create(&self, login: &str, password: &str) -> Result<String, Status> {
        let request = v1::CreateUserRequest {
            login: login.to_owned(),
            password: password.to_owned(),
            display_name: DISPLAY_NAME.to_owned(),
            roles: Vec::new(),
        };
        let request = self.admin.request(request);
        let reply = self.it.user_admin().create_user(request).await?;
        Ok(reply.into_inner().user.expect("a user").user_id)
    }

    async fn refuses(&self, way: &str, password: &str) {
        let refused = self.set(way, password).await.map_err(|status| {
            assert_eq!(reason(&status), "INVALID_ARGUMENT", "{status:?}");
            violated_fields(&status)
        });
        let field = match way {
            "Register" | "CreateUser" => "password",
            _ => "new_password",
        };
        assert_eq!(
            refused,
            Err(vec![field.to_owned()]),
            "{way} with {password}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fourteen_characters_are_refused_and_fifteen_taken_by_every_way() {
    let world = World::with(&[]).await;
    for way in WAYS {
        world.refuses(way, "kw7#Zq!m2Vp@xR").await;
        // A character is a code point of the composed form, not a byte.
        world.refuses(way, "éüñçøåžđłþðæßœ").await;
        world.refuses(way, "e\u{301}w7#Zq!m2Vp@xR").await;
        world.set(way, "kw7#Zq!m2Vp@xRt").await.expect(way);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn common_and_guessable_passwords_are_refused_by_every_way() {
    // The service's name is known whatever its audience is called.
    let world = World::with(&["--audience", "shop"]).await;
    for way in WAYS {
        for guessable in [
            // Common, a phrase, a pattern.
            "Password12345678!",
            "correct horse battery staple",
            "qwertyuiopasdfghjkl",
            "abcabcabcabcabcabc",
            // The login, the name, the service, and where it is.
            "meadowlark.finch1",
            "Hohenstaufen2026!",
            "brunhilde-von-hohenstaufen",
            "rollcall-rollcall-1",
            "shop shop shop shop",
            "https://id.test/1",
        ] {
            world.refuses(way, guessable).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_passwords_and_passphrases_are_taken_without_rules_of_composition() {
    let world = World::with(&[]).await;
    let exactly_1024_bytes = format!("{}!!", "violet-anchor-".repeat(73));
    assert_eq!(exactly_1024_bytes.len(), 1_024);
    for password in [
        "umbrella tortoise velvet quarry",
        "  leading spaces, trailing too  ",
        "\u{1f40d}\u{1f3b7}\u{1f9ca}\u{1f6f8}\u{1f345}\u{1f52d}\u{1f9f5}\u{1fa81}\u{1f40d}\u{1f6f8}\u{1f3b7}\u{1f345}\u{1f9ca}\u{1fa81}\u{1f52d}",
        &exactly_1024_bytes,
    ] {
        let login = world.set("Register", password).await.expect(password);
        let shorter =
            &password[..password.len() - 1.max(password.chars().last().map_or(1, char::len_utf8))];
        assert_password(&world.it, &login, password, shorter).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_differ_only_at_byte_73_or_129_are_different() {
    let world = World::with(&[]).await;
    let right = "umbrella tortoise velvet quarry ".repeat(8);
    let login = world.set("Register", &right).await.expect("registers");
    for at in [73, 129, 256] {
        let mut wrong = right.clone();
        wrong.replace_range(at - 1..at, "X");
        assert_password(&world.it, &login, &right, &wrong).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_one_password_that_unicode_holds_equal_are_equal_and_nothing_else_is() {
    let world = World::with(&[]).await;
    let composed = "umbrella tortoise caf\u{e9} \u{c5}ngstr\u{f6}m";
    let decomposed = "umbrella tortoise cafe\u{301} A\u{30a}ngstro\u{308}m";
    for (set, typed) in [(composed, decomposed), (decomposed, composed)] {
        let login = world.set("Register", set).await.expect("registers");
        assert_password(&world.it, &login, typed, &typed.to_lowercase()).await;
        let trimmed = format!("{typed} ");
        let refused = try_sign_in(&world.it, &login, &trimmed).await;
        assert_eq!(
            reason(&refused.expect_err("nothing is trimmed")),
            "INVALID_CREDENTIALS"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shortest_password_is_configurable_for_every_way() {
    let world = World::with(&["--password-min-characters", "8"]).await;
    for way in WAYS {
        world.refuses(way, "kw7#Zq!").await;
        world.set(way, "kw7#Zq!m").await.expect(way);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_password_leaves_everything_as_it_was() {
    let world = World::with(&[]).await;
    let before = world.it.database.contents().await;
    for way in ["Register", "CreateUser"] {
        world.refuses(way, "Password12345678!").await;
    }
    assert_eq!(world.it.database.contents().await, before);
    register(&world.it, "ana", PASSWORD)
        .await
        .expect("registers");
    let caller = world.it.sign_in("ana").await;
    let before = world.it.database.sessions_and_users().await;
    let refused = change(&world.it, &caller, PASSWORD, "Password12345678!").await;
    assert_eq!(reason(&refused.expect_err("guessable")), "INVALID_ARGUMENT");
    assert_eq!(world.it.database.sessions_and_users().await, before);
}
