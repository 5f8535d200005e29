//! How far a watcher is, kept for the next one.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{
    Failure,
    credentials::{beside, of_file},
};

/// A file that keeps a cursor; without a path nothing is kept.
pub(super) struct CursorFile<'a> {
    path: Option<&'a Path>,
}

impl<'a> CursorFile<'a> {
    pub(super) fn at(path: Option<&'a PathBuf>) -> Self {
        Self {
            path: path.map(PathBuf::as_path),
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// The cursor that is kept; empty where there is none yet.
    pub(super) fn read(&self) -> Result<String, Failure> {
        let Some(path) = self.path else {
            return Ok(String::new());
        };
        match fs::read_to_string(path) {
            Ok(cursor) => Ok(cursor.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(of_file(path, &error)),
        }
    }

    /// Keeps a cursor instead of the one before, all of it or none.
    pub(super) fn write(&self, cursor: &str) -> Result<(), Failure> {
        match self.path {
            None => Ok(()),
            Some(path) => replace(path, cursor).map_err(|error| of_file(path, &error)),
        }
    }
}

fn replace(path: &Path, cursor: &str) -> io::Result<()> {
    let next = beside(path, ".new");
    // One that a crash left behind may have other permissions.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)?;
    writeln!(file, "{cursor}")?;
    file.sync_all()?;
    fs::rename(&next, path)
}
