//! The folder that `rollcall dev` keeps everything in.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::Error;
use crate::identity::MasterKey;

/// A folder of its own, with:
///
/// - `postgres/`: the cluster
/// - `master.key`
/// - `operator.password`, and `demo.password` of all demo users
/// - `operator.token`: an access token of the operator, as long as `rollcall dev` runs
///
/// All but the cluster are files that only this user can read.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Takes a folder, and makes it where it does not exist. Without one it takes the
    /// system's folder for such things: of this user or, for root, of the machine.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made, or the user has no home.
    pub fn open(dir: Option<&Path>, is_root: bool) -> Result<Self, Error> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => default_dir(is_root, env::var_os("XDG_STATE_HOME"), env::home_dir())
                .ok_or(Error::NoHome)?,
        };
        let dir = std::path::absolute(&dir).map_err(Error::io("find", &dir))?;
        // Root runs Postgres as another user, who has to get through.
        let mode = if is_root { 0o755 } else { 0o700 };
        make_dir(&dir, mode).map_err(Error::io("make", &dir))?;
        let dir = dir.canonicalize().map_err(Error::io("look at", &dir))?;
        Ok(Self(dir))
    }

    /// Refuses a folder that is not this user's, or that others may write to: its key and
    /// its passwords could be theirs.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`].
    pub fn require_owner(&self, own_uid: u32) -> Result<(), Error> {
        let found = fs::metadata(&self.0).map_err(Error::io("look at", &self.0))?;
        if found.uid() == own_uid && found.mode() & 0o022 == 0 {
            Ok(())
        } else {
            Err(Error::NotOurs(self.0.clone()))
        }
    }

    /// Where it is: an absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of the private Postgres.
    pub fn cluster(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// The file that an access token of the operator is kept in.
    pub fn operator_token(&self) -> PathBuf {
        self.0.join("operator.token")
    }

    /// The file that has the master key, which is made where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written.
    pub fn master_key(&self) -> Result<PathBuf, Error> {
        let path = self.0.join("master.key");
        let make = || Ok(MasterKey::generate().map_err(|_| Error::Random)?.expose());
        read_or_make(&path, make)?;
        Ok(path)
    }

    /// The password of the operator, which is made where there is none.
    ///
    /// # Errors
    ///
    /// When its file cannot be read or written.
    pub fn operator_password(&self) -> Result<Zeroizing<String>, Error> {
        read_or_make(&self.0.join("operator.password"), random_text)
    }

    /// The password of each demo user, which is made where there is none.
    ///
    /// # Errors
    ///
    /// When its file cannot be read or written.
    pub fn demo_password(&self) -> Result<Zeroizing<String>, Error> {
        read_or_make(&self.0.join("demo.password"), random_text)
    }

    /// Removes every file; the cluster stays.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn remove_files(&self) -> Result<(), Error> {
        for name in [
            "master.key",
            "operator.password",
            "demo.password",
            "operator.token",
        ] {
            let path = self.0.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// 144 random bits as 24 characters of base64url.
///
/// # Errors
///
/// When the operating system gives none.
pub fn random_text() -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new([0; 18]);
    aws_lc_rs::rand::fill(&mut bytes[..]).map_err(|_| Error::Random)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..])))
}

/// Replaces a file by one that only this user can read, whole at every moment.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        writeln!(file, "{text}")?;
        // What the master key sealed survives a power cut, so the key has to as well.
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(Error::io("write", path))
}

/// The text of a file, without the space around it. Where the file is missing or
/// empty, `make` says what it shall be.
fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<Zeroizing<String>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Zeroizing::default(),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    if !text.trim().is_empty() {
        return Ok(Zeroizing::new(text.trim().to_owned()));
    }
    let made = make()?;
    write_private(path, &made)?;
    Ok(made)
}

/// The XDG base directory specification's place for state, and what macOS and a
/// service of the machine have in its stead.
fn default_dir(
    is_root: bool,
    state_home: Option<OsString>,
    home: Option<PathBuf>,
) -> Option<PathBuf> {
    if is_root {
        return Some("/var/lib/rollcall/dev".into());
    }
    let base = if cfg!(target_os = "macos") {
        home?.join("Library/Application Support")
    } else {
        state_home
            .map(PathBuf::from)
            // The specification has relative paths ignored.
            .filter(|dir| dir.is_absolute())
            .or_else(|| Some(home?.join(".local/state")))?
    };
    Some(base.join("rollcall/dev"))
}

/// Makes a folder and its parents with this mode, whatever the umask.
fn make_dir(dir: &Path, mode: u32) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dir(parent, mode)?;
    }
    DirBuilder::new().mode(mode).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests;
