//! Sign in: look up, check the password, open a session.

use tokio::sync::oneshot;
use tracing::Instrument;

use super::{
    AuthCaller, Error, Granted, Identity,
    access_token::{AccessToken, claims},
    attempts::Checked,
    incident::to_the_end,
    tell_log,
};
use crate::{
    error_chain,
    model::{
        audit::Act,
        binding::Binding,
        ids::SessionId,
        login::Login,
        password::Password,
        refresh_token::{Commitment, RefreshToken, RefreshTokenText},
        role::Roles,
        session::{Device, Session},
        token_mode::TokenMode,
    },
    store::{
        sessions::{self, NewSession, Opening, SeenSession},
        sign_ins::{self, Attempt},
        users::{self, Credentials},
    },
};

/// The index that lets one session of a device live.
const LIVE_DEVICE: &str = "sessions_live_device";

/// How often a password is checked whose hash is replaced meanwhile.
pub(super) const ATTEMPTS: usize = 3;

/// A sign-in that is asked for.
#[derive(Debug)]
pub struct SignIn {
    /// The login as it was typed.
    pub login: String,
    /// The password that is to be checked.
    pub password: Password,
    /// On which device.
    pub device: Device,
    /// Which tokens its client can hold.
    pub token_mode: TokenMode,
    /// What the session is to be bound to.
    pub binding: Option<Binding>,
    /// Who asks.
    pub caller: AuthCaller,
}

/// A session that was opened.
#[derive(Debug)]
pub struct SignedIn {
    /// The session and its first tokens.
    pub granted: Granted,
    /// The sessions that it took the place of.
    pub ended: Vec<SeenSession>,
}

impl Identity {
    /// Checks a password and opens a session. Whatever is wrong, the answer is one and
    /// costs one hash with the live parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCredentials`], [`Error::CallerNotAllowed`] instead to a caller who is
    /// not known, [`Error::RateLimited`], [`Error::SessionLimitReached`], or when the password
    /// cannot be hashed or the database cannot be asked.
    pub async fn sign_in(&self, act: Act, request: SignIn) -> Result<SignedIn, Error> {
        self.count_sign_in(self.sign_in_uncounted(act, request).await)
    }

    async fn sign_in_uncounted(&self, act: Act, request: SignIn) -> Result<SignedIn, Error> {
        self.limit_address(act.ip_address)?;
        self.limit_login(&request.login)?;
        // Before anything is written, so that no session is opened without its token.
        self.0.signing_keys.ring()?;
        let identity = self.clone();
        let (left, _waits) = oneshot::channel();
        // Who hangs up before the verdict would else leave a check that is counted and never
        // found right, or wrong.
        to_the_end(async move { identity.check_and_open(&act, request, &left).await }).await
    }

    /// Opens no session once `left` is closed: nobody would have its token.
    async fn check_and_open(
        &self,
        act: &Act,
        request: SignIn,
        left: &oneshot::Sender<()>,
    ) -> Result<SignedIn, Error> {
        for _ in 0..ATTEMPTS {
            // Before anything is asked, so that a flood of passwords stays out of the pool.
            let admission = self.0.hasher.admit()?;
            let attempt = self.begin(&request.login, request.caller).await?;
            let client_id = &request.device.client_id;
            let checked = self
                .check(act, client_id, admission, &request.password, attempt)
                .await
                .map_err(|error| request.caller.tell(error))?;
            if left.is_closed() {
                self.settle(&checked.credentials).await?;
                return Err(Error::Stopped);
            }
            let new = self.new_session(&checked, &request)?;
            tell_log(new.user_id, new.id);
            let (opened, ended) = match self.open(act, &new).await? {
                Opening::Opened { session, ended } => (session, ended),
                Opening::Full(limit) => return Err(Error::SessionLimitReached(limit)),
                // The hash was replaced meanwhile: by another password, or by an upgrade.
                Opening::Late | Opening::Void => continue,
            };
            for reason in ended
                .iter()
                .filter_map(|seen| Some(seen.session.ended?.reason))
            {
                self.ended(reason, 1);
            }
            tracing::info!(
                user_id = %new.user_id, session_id = %new.id, ended = ended.len(), "signed in"
            );
            let granted = self.grant(opened.session, opened.roles, new.commitment)?;
            if checked.outdated {
                self.upgrade(request.password, checked.credentials);
            }
            return Ok(SignedIn { granted, ended });
        }
        Err(request.caller.tell(Error::InvalidCredentials))
    }

    fn new_session(&self, checked: &Checked, request: &SignIn) -> Result<NewSession, Error> {
        let settings = &self.0.settings;
        Ok(NewSession {
            id: SessionId::generate(),
            user_id: checked.credentials.user_id,
            password_hash: checked.credentials.password_hash.clone(),
            opened: checked.opened,
            device: request.device.clone(),
            commitment: Commitment::random()?,
            idle: settings.session_idle_lifetime,
            absolute: settings.session_absolute_lifetime,
            limits: settings.sign_ins.sessions,
            token_mode: request.token_mode,
            binding: request.binding,
        })
    }

    async fn begin(&self, login: &str, caller: AuthCaller) -> Result<Attempt, Error> {
        // Nobody has the empty login: what cannot be one takes the same steps.
        let key = Login::key_for_lookup(login).unwrap_or_default();
        let max_attempts = self.0.settings.sign_ins.max_failed_attempts;
        let services_only = caller == AuthCaller::Unknown;
        let begin =
            async |conn: &mut _| sign_ins::begin(conn, &key, services_only, max_attempts).await;
        Ok(self.0.pool.run(begin).await?)
    }

    /// Forgets the wrong passwords before a right one that opens no session.
    async fn settle(&self, checked: &Credentials) -> Result<(), Error> {
        let settle = async |conn: &mut _| sign_ins::settle(conn, checked).await;
        Ok(self.0.pool.run(settle).await?)
    }

    async fn open(&self, act: &Act, new: &NewSession) -> Result<Opening, Error> {
        let pool = &self.0.pool;
        let open = async |conn: &mut _| sessions::open(conn, act, new).await;
        match pool.run(open).await {
            Ok(Opening::Late) => {}
            // By a replica of the release before, which takes no turn.
            Err(error) if error.unique_violation() == Some(LIVE_DEVICE) => {}
            result => return Ok(result?),
        }
        let open_in_turn = async |conn: &mut _| sessions::open_in_turn(conn, act, new).await;
        Ok(pool.run(open_in_turn).await?)
    }

    /// Stores the password under the live parameters, after the reply. A failure is only
    /// logged: the next sign-in tries again.
    fn upgrade(&self, password: Password, credentials: Credentials) {
        let identity = self.clone();
        let upgrade = async move {
            let upgraded = identity.0.hasher.hash(&password).await?;
            let (id, verified) = (credentials.user_id, &credentials.password_hash);
            let replace =
                async |conn: &mut _| users::upgrade_password(conn, id, verified, &upgraded).await;
            Ok(identity.0.pool.run(replace).await?)
        };
        let logged = async move {
            let result: Result<bool, Error> = upgrade.await;
            if let Err(error) = result {
                tracing::warn!(error = error_chain(&error), "password not upgraded");
            }
        };
        tokio::spawn(logged.in_current_span());
    }

    /// The tokens of a session's present generation, which `commitment` made.
    pub(super) fn grant(
        &self,
        session: Session,
        roles: Roles,
        commitment: Commitment,
    ) -> Result<Granted, Error> {
        let ring = self.0.signing_keys.ring()?;
        let claims = claims(&session, commitment, &roles, &self.0.settings);
        let refresh_token = match session.token_mode {
            TokenMode::Single => RefreshTokenText::default(),
            TokenMode::Pair => RefreshToken {
                user_id: session.user_id,
                session_id: session.id,
                generation: session.generation,
                commitment,
            }
            .encode(&self.0.mac_keys),
        };
        Ok(Granted {
            access_token: AccessToken::sign(claims, ring.active())?,
            refresh_token,
            session,
            roles,
        })
    }
}
