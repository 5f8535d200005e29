//! Users and sessions to try things on, made as a client would make them. What is
//! there already stays.

use std::error::Error as StdError;

use super::Error;
use super::people::{ANA, BEN, CHLOE, Gadget, OPERATOR, ORDERS, Person};
use crate::{
    identity::{self, AuthCaller, Granted, Identity, NewUser, SignIn},
    model::{
        audit::Act,
        ids::SessionId,
        login::Login,
        password::Password,
        role::Roles,
        session::{Device, Origin},
        token_mode::TokenMode,
        user::User,
    },
    store::{Page, sessions::Filter, users::Change},
};

/// The sessions that the commands on the screen are about.
#[derive(Debug)]
pub struct Seeded {
    /// The operator's session.
    pub operator: Granted,
    /// Ana's session on her main device.
    pub ana: Granted,
    /// Ana's session on another device.
    pub ana_other: SessionId,
}

/// Why a person could not be made ready.
type Source = Box<dyn StdError + Send + Sync>;

/// Sees to it that the operator and the demo users are there, can sign in with these
/// passwords, and are signed in on all their devices.
///
/// A device that was signed out by hand is signed in again. The main devices get new
/// sessions each time; any other session that lives is left alone.
///
/// # Errors
///
/// When a user cannot be created or signed in.
pub async fn seed(
    identity: &Identity,
    operator_password: &str,
    demo_password: &str,
) -> Result<Seeded, Error> {
    // Five at once, within what the hasher lets wait on a single core.
    let (operator, ana, _, _, _) = tokio::try_join!(
        settle(identity, &OPERATOR, operator_password),
        settle(identity, &ANA, demo_password),
        settle(identity, &BEN, demo_password),
        settle(identity, &CHLOE, demo_password),
        settle(identity, &ORDERS, demo_password),
    )?;
    let ana_other = ana.others.first().copied().unwrap_or(ana.main.session.id);
    Ok(Seeded {
        operator: operator.main,
        ana: ana.main,
        ana_other,
    })
}

/// Signs a person in on the main device, with a new password if need be.
pub(super) async fn sign_in_on_main(
    identity: &Identity,
    person: &Person,
    password: &str,
) -> Result<Granted, Error> {
    let sign_in = async {
        let password = Password::new(password)?;
        let user = ensure_user(identity, person, &password).await?;
        match sign_in(identity, person, &person.main, &password).await {
            // Somebody changed it, or its file was lost.
            Err(identity::Error::InvalidCredentials) => {
                let act = Act::of_command_line();
                identity.set_password(&act, user.id, &password).await?;
                Ok(sign_in(identity, person, &person.main, &password).await?)
            }
            result => Ok(result?),
        }
    };
    sign_in.await.map_err(of(person))
}

/// The sessions of a person.
struct Settled {
    main: Granted,
    others: Vec<SessionId>,
}

async fn settle(identity: &Identity, person: &Person, password: &str) -> Result<Settled, Error> {
    let main = sign_in_on_main(identity, person, password).await?;
    let others = ensure_others(identity, person, password, &main).await;
    Ok(Settled {
        others: others.map_err(of(person))?,
        main,
    })
}

async fn ensure_user(
    identity: &Identity,
    person: &Person,
    password: &Password,
) -> Result<User, Source> {
    let act = Act::of_command_line();
    let roles = Roles::parse(person.roles.iter().map(ToString::to_string).collect())?;
    let user = match identity.get_user_by_login(person.login).await {
        Err(identity::Error::UserNotFound) => {
            let new = NewUser {
                login: Login::parse(person.login)?,
                password: password.clone(),
                display_name: person.display_name.to_owned(),
                roles,
            };
            return Ok(identity.create_user(&act, new).await?);
        }
        result => result?,
    };
    let has = |role| user.roles.names().contains(role);
    if user.disabled_at.is_none() && roles.names().iter().all(has) {
        return Ok(user);
    }
    let change = Change {
        id: user.id,
        display_name: None,
        roles: (!roles.names().iter().all(has)).then_some(roles),
        disabled: Some(false),
    };
    Ok(identity.update_user(&act, &change).await?.0)
}

/// The sessions of a person's other devices; those that are missing are opened.
async fn ensure_others(
    identity: &Identity,
    person: &Person,
    password: &str,
    main: &Granted,
) -> Result<Vec<SessionId>, Source> {
    let filter = Filter {
        user_id: Some(main.session.user_id),
        ..Filter::default()
    };
    let page = Page {
        after: None,
        limit: 1000,
    };
    let live = identity.list_sessions(&filter, page).await?;
    let password = Password::new(password)?;
    let mut sessions = Vec::new();
    for gadget in person.others {
        let found = live.iter().map(|seen| &seen.session).find(|session| {
            let device = &session.device;
            device.device_id.as_deref() == Some(gadget.id) && device.client_id == gadget.client_id
        });
        sessions.push(match found {
            Some(session) => session.id,
            None => {
                sign_in(identity, person, gadget, &password)
                    .await?
                    .session
                    .id
            }
        });
    }
    Ok(sessions)
}

async fn sign_in(
    identity: &Identity,
    person: &Person,
    gadget: &Gadget,
    password: &Password,
) -> Result<Granted, identity::Error> {
    let request = SignIn {
        login: person.login.to_owned(),
        password: password.clone(),
        device: gadget.device(),
        token_mode: TokenMode::Pair,
        binding: None,
        caller: AuthCaller::Known,
    };
    let act = Act::of_rollcall().from_device(request.device.origin.ip_address);
    Ok(identity.sign_in(act, request).await?.granted)
}

impl Gadget {
    /// From where it calls.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            user_agent: self.user_agent.to_owned(),
            ip_address: Some(self.ip_address),
        }
    }

    fn device(&self) -> Device {
        Device {
            device_id: Some(self.id.to_owned()),
            display_name: self.name.to_owned(),
            client_id: self.client_id.to_owned(),
            origin: self.origin(),
        }
    }
}

fn of(person: &Person) -> impl FnOnce(Source) -> Error {
    let login = person.login;
    move |source| Error::User { login, source }
}
