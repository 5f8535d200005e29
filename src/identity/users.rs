//! Create, change and delete users; set and change passwords.

use super::{Caller, Error, Identity, password::PasswordHasher, sign_in::ATTEMPTS};
use crate::{
    model::{
        audit::Act,
        ids::UserId,
        login::Login,
        password::{Password, PasswordHash, Weakness},
        role::Roles,
        session::EndReason,
        user::User,
    },
    store::{
        Page, Pool, sign_ins, sign_out,
        users::{self, Change, Filter},
    },
};

/// A user to create, whose password was found strong enough.
#[derive(Debug)]
pub struct NewUser {
    /// The login.
    pub login: Login,
    /// The password.
    pub password: Password,
    /// What people call the user; may be empty.
    pub display_name: String,
    /// What the user may do.
    pub roles: Roles,
}

impl Identity {
    /// What makes a password too weak for a user of these names, if anything. Guessing
    /// is work, so it waits in line like a hash.
    ///
    /// # Errors
    ///
    /// When too many passwords wait to be checked.
    pub async fn weakness(
        &self,
        password: &Password,
        login: &str,
        display_name: &str,
    ) -> Result<Option<Weakness>, Error> {
        let settings = &self.0.settings;
        let names = [login, display_name, &settings.issuer, &settings.audience];
        let checked = self
            .0
            .hasher
            .check(settings.password_policy, password, &names);
        Ok(checked.await?.err())
    }

    /// Whether anybody can register.
    ///
    /// # Errors
    ///
    /// [`Error::RegistrationDisabled`].
    pub fn may_register(&self) -> Result<(), Error> {
        if self.0.settings.registration {
            Ok(())
        } else {
            Err(Error::RegistrationDisabled)
        }
    }

    /// Creates a user.
    ///
    /// # Errors
    ///
    /// [`Error::LoginTaken`], or when the password cannot be hashed or the database
    /// cannot be asked.
    pub async fn create_user(&self, act: &Act, new: NewUser) -> Result<User, Error> {
        create_user(&self.0.pool, &self.0.hasher, act, new).await
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn get_user(&self, id: UserId) -> Result<User, Error> {
        let get = async |conn: &mut _| users::get(conn, id).await;
        let found = self.0.pool.run(get).await?;
        found.ok_or(Error::UserNotFound)
    }

    /// The user behind a login as it was typed.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn get_user_by_login(&self, login: &str) -> Result<User, Error> {
        let found = self.find_user_by_login(login).await?;
        found.ok_or(Error::UserNotFound)
    }

    pub(super) async fn find_user_by_login(&self, login: &str) -> Result<Option<User>, Error> {
        let Some(key) = Login::key_for_lookup(login) else {
            return Ok(None);
        };
        let find = async |conn: &mut _| users::find_by_login(conn, &key).await;
        Ok(self.0.pool.run(find).await?)
    }

    /// One page of the users that a filter meets, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn list_users(
        &self,
        filter: &Filter,
        page: Page<UserId>,
    ) -> Result<Vec<User>, Error> {
        let list = async |conn: &mut _| users::list(conn, filter, page).await;
        Ok(self.0.pool.run(list).await?)
    }

    /// Changes a user, and says how many sessions that ended.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn update_user(&self, act: &Act, change: &Change) -> Result<(User, usize), Error> {
        let update = async |conn: &mut _| sign_out::update_user(conn, act, change).await;
        let updated = self.0.pool.run(update).await?;
        let (user, ended) = updated.ok_or(Error::UserNotFound)?;
        self.ended(EndReason::UserDisabled, ended);
        tracing::info!(user_id = %user.id, ended, "user updated");
        Ok((user, ended))
    }

    /// Sets a user's password, ends all sessions, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], [`Error::WeakPassword`], or when the password cannot be
    /// hashed or the database cannot be asked.
    pub async fn set_password(
        &self,
        act: &Act,
        id: UserId,
        password: &Password,
    ) -> Result<usize, Error> {
        let user = self.get_user(id).await?;
        let password_hash = self.hash_strong(password, &user).await?;
        let set = async |conn: &mut _| sign_out::set_password(conn, act, id, &password_hash).await;
        let ended = self.0.pool.run(set).await?;
        let ended = ended.ok_or(Error::UserNotFound)?;
        self.ended(EndReason::PasswordChanged, ended);
        tracing::info!(user_id = %id, ended, "password set");
        Ok(ended)
    }

    /// Replaces the caller's password, ends the caller's other sessions, and says how
    /// many.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCredentials`] when `current` is wrong, [`Error::RateLimited`],
    /// [`Error::WeakPassword`], or when a password cannot be hashed or the database cannot be
    /// asked.
    pub async fn change_password(
        &self,
        act: &Act,
        caller: &Caller,
        current: &Password,
        new: &Password,
    ) -> Result<usize, Error> {
        let (id, kept) = (caller.user_id, caller.session_id);
        self.limit_login(&id.to_string())?;
        let max_attempts = self.0.settings.sign_ins.max_failed_attempts;
        let begin = async |conn: &mut _| sign_ins::begin_of_user(conn, id, max_attempts).await;
        for _ in 0..ATTEMPTS {
            let admission = self.0.hasher.admit()?;
            let attempt = self.0.pool.run(begin).await?;
            let checked = self.check(act, "", admission, current, attempt).await?;
            let user = self.get_user(id).await?;
            let replacement = self.hash_strong(new, &user).await?;
            let verified = &checked.credentials.password_hash;
            let change = async |conn: &mut _| {
                sign_out::change_password(conn, act, id, verified, &replacement, kept).await
            };
            // None: the hash was replaced meanwhile, by another password or an upgrade.
            if let Some(ended) = self.0.pool.run(change).await? {
                self.ended(EndReason::PasswordChanged, ended);
                tracing::info!(user_id = %id, ended, "password changed");
                return Ok(ended);
            }
        }
        Err(Error::InvalidCredentials)
    }

    /// Lets a user's passwords be checked again, and answers the user.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn unlock_user(&self, act: &Act, id: UserId) -> Result<User, Error> {
        let unlock = async |conn: &mut _| sign_ins::unlock(conn, act, id).await;
        if self.0.pool.run(unlock).await? {
            tracing::info!(user_id = %id, "user unlocked");
        }
        self.get_user(id).await
    }

    /// Deletes a user, ends all sessions, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn delete_user(&self, act: &Act, id: UserId) -> Result<usize, Error> {
        let delete = async |conn: &mut _| sign_out::delete_user(conn, act, id).await;
        let ended = self.0.pool.run(delete).await?;
        let ended = ended.ok_or(Error::UserNotFound)?;
        self.ended(EndReason::UserDeleted, ended);
        tracing::info!(user_id = %id, ended, "user deleted");
        Ok(ended)
    }

    pub(super) async fn hash_strong(
        &self,
        password: &Password,
        user: &User,
    ) -> Result<PasswordHash, Error> {
        let weakness = self
            .weakness(password, &user.login, &user.display_name)
            .await?;
        match weakness {
            Some(weakness) => Err(Error::WeakPassword(weakness)),
            None => Ok(self.0.hasher.hash(password).await?),
        }
    }
}

/// Creates an operator where there is none who can sign in; `None` where there is. Whoever
/// has the database can write any row: this keeps from mistakes, and guards nothing.
///
/// # Errors
///
/// As [`Identity::create_user`].
pub async fn create_first_operator(
    pool: &Pool,
    hasher: &PasswordHasher,
    new: NewUser,
) -> Result<Option<User>, Error> {
    if pool
        .run(async |conn| users::has_operator(conn).await)
        .await?
    {
        return Ok(None);
    }
    let act = Act::of_command_line();
    create_user(pool, hasher, &act, new).await.map(Some)
}

/// Creates a user.
///
/// # Errors
///
/// [`Error::LoginTaken`], or when the password cannot be hashed or the database cannot
/// be asked.
async fn create_user(
    pool: &Pool,
    hasher: &PasswordHasher,
    act: &Act,
    new: NewUser,
) -> Result<User, Error> {
    let password_hash = hasher.hash(&new.password).await?;
    let row = users::NewUser {
        id: UserId::generate(),
        login: new.login,
        display_name: new.display_name,
        roles: new.roles,
        password_hash,
    };
    let create = async |conn: &mut _| users::create(conn, act, &row).await;
    let created = pool.run(create).await?;
    let user = created.ok_or(Error::LoginTaken)?;
    tracing::info!(user_id = %user.id, "user created");
    Ok(user)
}
