//! Where the tokens of `rollcall login` are kept, and the device that they are of.

use std::{
    env,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::Failure;
use crate::{config::SessionOptions, proto::v1};

/// Which application the command line is.
const CLIENT_ID: &str = "rollcall-cli";

/// The user agent of the command line.
pub(super) const USER_AGENT: &str = concat!("rollcall-cli/", env!("CARGO_PKG_VERSION"));

/// The file of the tokens; the folder of the default is made.
pub(super) fn file(options: &SessionOptions) -> Result<PathBuf, Failure> {
    if let Some(path) = &options.credentials {
        return Ok(path.clone());
    }
    let folder = state_folder()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| of_file(&folder, &error))?;
    Ok(folder.join(file_name(&options.server.server)))
}

/// What this machine is to a server: the same device at each login with the same file.
pub(super) fn device(credentials: &Path) -> Result<v1::Device, Failure> {
    let path = beside(credentials, ".device");
    let device_id = device_id(&path).map_err(|error| of_file(&path, &error))?;
    Ok(v1::Device {
        device_id,
        display_name: host_name(),
        client_id: CLIENT_ID.to_owned(),
        user_agent: USER_AGENT.to_owned(),
        ip_address: String::new(),
    })
}

/// A failure of a file, which is named.
pub(super) fn of_file(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()).into())
}

fn state_folder() -> Result<PathBuf, Failure> {
    let absolute = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")));
    match state {
        Some(state) => Ok(state.join("rollcall")),
        None => Err(Failure::Usage(
            "--credentials is required, since neither XDG_STATE_HOME nor HOME says where \
             your files are"
                .to_owned(),
        )),
    }
}

/// A name for each server, whatever is in its address.
fn file_name(server: &str) -> String {
    let mut name = String::new();
    for byte in server.trim_end_matches('/').bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => name.push(byte.into()),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

/// The path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// The id in the file, which is made where there is none.
fn device_id(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(id) if Uuid::parse_str(id.trim()).is_ok() => return Ok(id.trim().to_owned()),
        Ok(_) => return Err(io::Error::other("has no device id; remove it")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no random bytes"))?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{id}")?;
    Ok(id.to_string())
}

/// What the machine is called, within the limits of a device's name; empty where nothing
/// says it.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| env::var("HOSTNAME").ok());
    let name = name.unwrap_or_default();
    let shown = name.trim().chars().filter(|c| !c.is_control());
    shown.take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_a_file_of_its_own() {
        let name = file_name("https://id.example.com:8443/");
        assert_eq!(name, "https%3A%2F%2Fid.example.com%3A8443");
        assert_eq!(name, file_name("https://id.example.com:8443"));
        assert_ne!(file_name("unix:/a/b"), file_name("unix:/a_b"));
        assert!(!file_name("unix:/../../etc/passwd").contains('/'));
    }
}
