use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::Error;
use super::folder::Folder;

/// The user that Postgres runs as: our own, or for root, which Postgres refuses,
/// an ordinary one.
#[derive(Debug)]
pub(super) struct Account {
    own_uid: u32,
    drops_to: Option<Ids>,
}

#[derive(Clone, Copy, Debug)]
struct Ids {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account of this process.
    pub(super) fn current() -> Result<Self, Error> {
        // The owner of anything new says who we are. Asking the kernel outright takes
        // unsafe code.
        let own_uid = io::pipe()
            .and_then(|(reader, _)| File::from(OwnedFd::from(reader)).metadata())
            .map_err(Error::io("look at", Path::new("a pipe")))?
            .uid();
        Ok(Self {
            own_uid,
            drops_to: None,
        })
    }

    pub(super) fn own_uid(&self) -> u32 {
        self.own_uid
    }

    pub(super) fn is_root(&self) -> bool {
        self.own_uid == 0
    }

    /// The account for a cluster: where root has to choose one, the owner of the data,
    /// else a user without other duties. Sees to it that it can reach the folder.
    pub(super) fn for_cluster(self, folder: &Folder) -> Result<Self, Error> {
        if !self.is_root() {
            return Ok(self);
        }
        let owner = fs::metadata(folder.data())
            .ok()
            .map(|data| Ids {
                uid: data.uid(),
                gid: data.gid(),
            })
            .filter(|owner| owner.uid != 0);
        let ids = match owner {
            Some(owner) => owner,
            None => ordinary_user(&fs::read_to_string("/etc/passwd").unwrap_or_default())
                .ok_or(Error::NoUser)?,
        };
        give_passage(folder.path(), ids)?;
        check_passage(folder.path(), ids)?;
        Ok(Self {
            drops_to: Some(ids),
            ..self
        })
    }

    /// Makes a command run under this account, in none of root's groups.
    pub(super) fn apply_to(&self, command: &mut Command) {
        if let Some(Ids { uid, gid }) = self.drops_to {
            command.uid(uid).gid(gid);
        }
    }

    /// Makes a folder that only this account may use, or checks that it is one:
    /// anybody can be first at a path under the temporary folder.
    pub(super) fn private_folder(&self, path: &Path) -> Result<(), Error> {
        if let Err(error) = DirBuilder::new().mode(0o700).create(path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(Error::io("make", path)(error));
        }
        let found = fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
        let ours =
            found.uid() == self.own_uid || self.drops_to.is_some_and(|ids| found.uid() == ids.uid);
        if !found.is_dir() || !ours || found.mode() & 0o077 != 0 {
            return Err(Error::NotPrivate(path.to_owned()));
        }
        let Some(ids) = self.drops_to else {
            return Ok(());
        };
        chown(path, Some(ids.uid), Some(ids.gid))
            .map_err(Error::io("change the owner of", path))?;
        check_passage(path, ids)
    }
}

/// The user for Postgres among those of a passwd(5) file.
fn ordinary_user(passwd: &str) -> Option<Ids> {
    ["postgres", "_postgres", "nobody"]
        .iter()
        .find_map(|wanted| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                if fields.next() != Some(wanted) {
                    return None;
                }
                let uid = fields.nth(1)?.parse().ok()?;
                let gid = fields.next()?.parse().ok()?;
                Some(Ids { uid, gid })
            })
        })
}

/// Lets the user's group, and no other, through a folder that keeps the user out.
fn give_passage(folder: &Path, ids: Ids) -> Result<(), Error> {
    let found = fs::metadata(folder).map_err(Error::io("look at", folder))?;
    if lets_pass(&found, ids) {
        return Ok(());
    }
    let mode = found.mode() & 0o7707 | 0o010;
    chown(folder, None, Some(ids.gid))
        .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(mode)))
        .map_err(Error::io("change the group of", folder))
}

fn check_passage(folder: &Path, ids: Ids) -> Result<(), Error> {
    for directory in folder.ancestors().collect::<Vec<_>>().into_iter().rev() {
        let found = fs::metadata(directory).map_err(Error::io("look at", directory))?;
        if !lets_pass(&found, ids) {
            return Err(Error::NotTraversable {
                directory: directory.to_owned(),
                uid: ids.uid,
            });
        }
    }
    Ok(())
}

fn lets_pass(folder: &Metadata, ids: Ids) -> bool {
    let needed = if folder.uid() == ids.uid {
        0o100
    } else if folder.gid() == ids.gid {
        0o010
    } else {
        0o001
    };
    folder.mode() & needed != 0
}
