//! Create, change and delete users; set and change passwords.

use super::{Caller, Error, Identity, password::PasswordHasher, sign_in::CHECKS};
use crate::{
    model::{
        ids::UserId,
        login::Login,
        password::{Password, PasswordHash, Weakness},
        role::Roles,
        user::User,
    },
    store::{
        Pool,
        sessions::Page,
        sign_out,
        users::{self, Change, Credentials},
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
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        create_user(&self.0.pool, &self.0.hasher, new).await
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn get_user(&self, id: UserId) -> Result<User, Error> {
        let mut conn = self.0.pool.get().await?;
        users::get(&mut conn, id).await?.ok_or(Error::UserNotFound)
    }

    /// The user behind a login as it was typed.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn get_user_by_login(&self, login: &str) -> Result<User, Error> {
        let key = Login::key_for_lookup(login).ok_or(Error::UserNotFound)?;
        let mut conn = self.0.pool.get().await?;
        let found = users::find_by_login(&mut conn, &key).await?;
        found.ok_or(Error::UserNotFound)
    }

    /// One page of users, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn list_users(&self, page: Page<UserId>) -> Result<Vec<User>, Error> {
        let mut conn = self.0.pool.get().await?;
        Ok(users::list(&mut conn, page).await?)
    }

    /// Changes a user, and says how many sessions that ended.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn update_user(&self, change: &Change) -> Result<(User, usize), Error> {
        let mut conn = self.0.pool.get().await?;
        let updated = sign_out::update_user(&mut conn, change).await?;
        let (user, ended) = updated.ok_or(Error::UserNotFound)?;
        tracing::info!(user_id = %user.id, ended, "user updated");
        Ok((user, ended))
    }

    /// Sets a user's password, ends all sessions, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], [`Error::WeakPassword`], or when the password cannot be
    /// hashed or the database cannot be asked.
    pub async fn set_password(&self, id: UserId, password: &Password) -> Result<usize, Error> {
        let user = self.get_user(id).await?;
        let password_hash = self.hash_strong(password, &user).await?;
        let mut conn = self.0.pool.get().await?;
        let ended = sign_out::set_password(&mut conn, id, &password_hash).await?;
        let ended = ended.ok_or(Error::UserNotFound)?;
        tracing::info!(user_id = %id, ended, "password set");
        Ok(ended)
    }

    /// Replaces the caller's password, ends the caller's other sessions, and says how
    /// many.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCredentials`] when `current` is wrong, [`Error::WeakPassword`], or
    /// when a password cannot be hashed or the database cannot be asked.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &Password,
        new: &Password,
    ) -> Result<usize, Error> {
        for _ in 0..CHECKS {
            let found = {
                let mut conn = self.0.pool.get().await?;
                users::find_with_password(&mut conn, caller.user_id).await?
            };
            let (user, password_hash) = found.ok_or(Error::InvalidCredentials)?;
            let credentials = Credentials {
                user_id: user.id,
                password_hash,
                disabled: user.disabled_at.is_some(),
            };
            let (verified, _) = self.check(current, Some(credentials)).await?;
            let verified = verified.password_hash;
            let replacement = self.hash_strong(new, &user).await?;
            let mut conn = self.0.pool.get().await?;
            let kept = caller.session_id;
            let ended =
                sign_out::change_password(&mut conn, user.id, &verified, &replacement, kept);
            if let Some(ended) = ended.await? {
                tracing::info!(user_id = %user.id, ended, "password changed");
                return Ok(ended);
            }
        }
        Err(Error::InvalidCredentials)
    }

    /// Deletes a user, ends all sessions, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn delete_user(&self, id: UserId) -> Result<usize, Error> {
        let mut conn = self.0.pool.get().await?;
        let ended = sign_out::delete_user(&mut conn, id).await?;
        let ended = ended.ok_or(Error::UserNotFound)?;
        tracing::info!(user_id = %id, ended, "user deleted");
        Ok(ended)
    }

    async fn hash_strong(&self, password: &Password, user: &User) -> Result<PasswordHash, Error> {
        let weakness = self
            .weakness(password, &user.login, &user.display_name)
            .await?;
        match weakness {
            Some(weakness) => Err(Error::WeakPassword(weakness)),
            None => Ok(self.0.hasher.hash(password).await?),
        }
    }
}

/// Creates a user; what [`Identity::create_user`] does, and the command line for the
/// first operator.
///
/// # Errors
///
/// [`Error::LoginTaken`], or when the password cannot be hashed or the database cannot
/// be asked.
pub async fn create_user(
    pool: &Pool,
    hasher: &PasswordHasher,
    new: NewUser,
) -> Result<User, Error> {
    let password_hash = hasher.hash(&new.password).await?;
    let mut conn = pool.get().await?;
    let row = users::NewUser {
        id: UserId::generate(),
        login: new.login,
        display_name: new.display_name,
        roles: new.roles,
        password_hash,
    };
    let created = users::create(&mut conn, &row).await?;
    let user = created.ok_or(Error::LoginTaken)?;
    tracing::info!(user_id = %user.id, "user created");
    Ok(user)
}
