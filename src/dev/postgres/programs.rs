use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, path};

use super::account::Account;
use super::error::Error;

/// Where distributions keep the programs outside `PATH`: in each folder of the first
/// whose name starts with the second, under the third.
const FOLDERS: [(&str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/opt/homebrew", "bin", ""),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// What the programs get to see of the environment, which may well hold secrets.
const VARIABLES: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// The folder of Postgres's own programs.
#[derive(Debug)]
pub(super) struct Programs {
    bin: PathBuf,
}

impl Programs {
    pub(super) fn find(account: &Account) -> Result<Self, Error> {
        let pg_bin = env::var_os("PG_BIN").filter(|value| !value.is_empty());
        let search_path = env::var_os("PATH").unwrap_or_default();
        Self::find_in(pg_bin.as_deref(), &search_path, &FOLDERS, account)
    }

    fn find_in(
        pg_bin: Option<&OsStr>,
        search_path: &OsStr,
        folders: &[(&str, &str, &str)],
        account: &Account,
    ) -> Result<Self, Error> {
        if let Some(bin) = pg_bin {
            let bin = path::absolute(bin).map_err(Error::io("find", Path::new(bin)))?;
            return if is_complete(&bin) {
                Ok(Self { bin })
            } else {
                Err(Error::WrongPgBin(bin))
            };
        }
        env::split_paths(search_path)
            .chain(
                folders
                    .iter()
                    .flat_map(|&(parent, prefix, bin)| newest_first(parent, prefix, bin)),
            )
            .find(|bin| is_complete(bin))
            .map(|bin| Self { bin })
            .ok_or_else(|| {
                let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
                let system = if cfg!(target_os = "macos") {
                    "ID=macos"
                } else {
                    &os_release
                };
                Error::ProgramsMissing {
                    advice: advice(system, account.is_root()),
                }
            })
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    pub(super) fn initdb(&self, account: &Account) -> Command {
        command(&self.bin.join("initdb"), account)
    }

    pub(super) fn pg_ctl(&self, account: &Account) -> Command {
        command(&self.bin.join("pg_ctl"), account)
    }
}

/// A command in an environment that is the same everywhere, under the right user.
pub(super) fn command(program: &Path, account: &Account) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(
            VARIABLES
                .iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        )
        // Messages in English; and on macOS, Postgres refuses to start without a locale.
        .env("LC_ALL", "C")
        // Spares initdb a search for the machine's own.
        .env("TZ", "UTC")
        // Postgres cannot start in a folder that its user may not enter.
        .current_dir("/")
        .stdin(Stdio::null());
    account.apply_to(&mut command);
    command
}

fn is_complete(bin: &Path) -> bool {
    // A relative PATH entry would mean something else in the command's own folder.
    bin.is_absolute()
        && ["initdb", "postgres", "pg_ctl"]
            .iter()
            .all(|name| bin.join(name).is_file())
}

fn newest_first(parent: &str, prefix: &str, bin: &str) -> Vec<PathBuf> {
    let mut names: Vec<String> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version(&name[prefix.len()..])));
    names
        .iter()
        .map(|name| Path::new(parent).join(name).join(bin))
        .collect()
}

/// The numbers of `16` or `9.6`, so that they sort as versions do.
fn version(name: &str) -> Vec<u32> {
    name.split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

/// The second half of a line: how to install the programs on the system that
/// `os_release`, in the format of os-release(5), describes.
fn advice(os_release: &str, root: bool) -> String {
    let field = |name: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or("")
    };
    let ids = format!("{} {}", field("ID"), field("ID_LIKE")).replace(['"', '\''], "");
    let command = ids.split_whitespace().find_map(|id| match id {
        "debian" | "ubuntu" => Some("apt-get install postgresql"),
        "fedora" | "rhel" | "centos" => Some("dnf install postgresql-server"),
        "arch" => Some("pacman -S postgresql"),
        "alpine" => Some("apk add postgresql"),
        "suse" | "opensuse" => Some("zypper install postgresql-server"),
        "macos" => Some("brew install postgresql@18"),
        _ => None,
    });
    match command {
        Some(command) if root || command.starts_with("brew") => {
            format!("install them with: {command}")
        }
        Some(command) => format!("install them with: sudo {command}"),
        None => "install PostgreSQL, or set PG_BIN to the folder that has them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_one_line_that_says_what_to_run() {
        let account = Account::current().unwrap();
        let error = Programs::find_in(None, OsStr::new("/nowhere"), &[], &account).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::ProgramsMissing { .. }));
        assert!(
            message.contains("install") && message.lines().count() == 1,
            "{message}"
        );
    }

    #[test]
    fn each_system_has_its_own_command() {
        for (os_release, root, expected) in [
            (
                "ID=debian\n",
                true,
                "install them with: apt-get install postgresql",
            ),
            (
                "ID=pop\nID_LIKE=\"ubuntu debian\"\n",
                false,
                "install them with: sudo apt-get install postgresql",
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                false,
                "install them with: sudo dnf install postgresql-server",
            ),
            ("ID=alpine\n", true, "install them with: apk add postgresql"),
            (
                "ID=endeavouros\nID_LIKE=arch\n",
                true,
                "install them with: pacman -S postgresql",
            ),
            (
                "ID=macos",
                false,
                "install them with: brew install postgresql@18",
            ),
            (
                "",
                false,
                "install PostgreSQL, or set PG_BIN to the folder that has them",
            ),
        ] {
            assert_eq!(advice(os_release, root), expected, "{os_release}");
        }
    }

    #[test]
    fn the_newest_distribution_folder_wins() {
        let dir = env::temp_dir().join(format!("rollcall-programs-{}", std::process::id()));
        for version in ["9.6", "15", "16"] {
            let bin = dir.join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            for name in ["initdb", "postgres", "pg_ctl"] {
                fs::write(bin.join(name), "").unwrap();
            }
        }
        let account = Account::current().unwrap();
        let folders = [(dir.to_str().unwrap(), "", "bin")];
        let found = Programs::find_in(None, OsStr::new(""), &folders, &account).unwrap();
        assert_eq!(found.postgres(), dir.join("16/bin/postgres"));
        fs::remove_dir_all(dir).unwrap();
    }
}
