//! Tokens in a file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    Tokens,
    store::{Change, Store},
};

/// Keeps the tokens in a file that only its owner can read, and that survives a crash at
/// any moment: it is written beside, synced and renamed. Processes that share it take
/// turns by a lock on `NAME.lock`. A file that is not one of these is an error, and is
/// never overwritten.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// Keeps the tokens in the file at `path`, whose folder exists. The file need not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path with something after its name.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(suffix);
        path.into()
    }

    fn try_update(&self, change: Change) -> io::Result<Option<Tokens>> {
        let lock = private().create(true).open(self.beside(".lock"))?;
        lock.lock()?;
        let before = self.read()?;
        let after = change(before.clone());
        if after != before {
            match &after {
                Some(tokens) => self.write(tokens)?,
                None => fs::remove_file(&self.path)?,
            }
            sync_folder(&self.path)?;
        }
        Ok(after)
    }

    fn read(&self) -> io::Result<Option<Tokens>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let tokens = Tokens::from_bytes(&bytes).map_err(|_| corrupt())?;
        Ok(Some(tokens))
    }

    fn write(&self, tokens: &Tokens) -> io::Result<()> {
        let path = self.beside(".new");
        // One that a crash left behind may have other permissions.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().create_new(true).open(&path)?;
        file.write_all(&tokens.to_bytes())?;
        file.sync_all()?;
        fs::rename(&path, &self.path)
    }
}

impl Store for FileStore {
    fn update(&self, change: Change) -> io::Result<Option<Tokens>> {
        self.try_update(change).map_err(|error| {
            let path = self.path.display();
            io::Error::new(error.kind(), format!("the tokens in {path}: {error}"))
        })
    }
}

fn corrupt() -> io::Error {
    let text = "the file holds no tokens of this version; it is left as it is: remove it to \
                sign in again";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Options for a file that only its owner can read and write.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a rename durable. Only unix lets a folder be synced, and there it must be.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
