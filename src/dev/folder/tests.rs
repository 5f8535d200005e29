use super::*;

/// A folder that is removed at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("rollcall-folder-{name}-{}", std::process::id());
        let dir = env::temp_dir().join(name);
        _ = fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn secrets_are_made_once_for_this_user_only() {
    let scratch = Scratch::new("secrets");
    let folder = Folder::open(Some(&scratch.0), false).unwrap();
    let password = folder.operator_password().unwrap();
    assert_eq!(password.len(), 24);
    assert_ne!(password, folder.demo_password().unwrap());
    assert_eq!(password, folder.operator_password().unwrap());
    let key = folder.master_key().unwrap();
    let text = fs::read_to_string(&key).unwrap();
    assert!(text.parse::<MasterKey>().is_ok());
    folder.master_key().unwrap();
    assert_eq!(fs::read_to_string(&key).unwrap(), text);
    for name in ["master.key", "operator.password", "demo.password"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
}

#[test]
fn removed_and_empty_secrets_are_made_anew() {
    let scratch = Scratch::new("removed");
    let folder = Folder::open(Some(&scratch.0), false).unwrap();
    let first = folder.operator_password().unwrap();
    folder.remove_files().unwrap();
    folder.remove_files().unwrap();
    let second = folder.operator_password().unwrap();
    assert_ne!(first, second);
    fs::write(folder.path().join("operator.password"), "\n").unwrap();
    assert_eq!(folder.operator_password().unwrap().len(), 24);
}

#[test]
fn folder_and_its_parents_let_others_through_for_root_only() {
    for (is_root, expected) in [(true, 0o755), (false, 0o700)] {
        let scratch = Scratch::new(&format!("mode-{expected:o}"));
        let folder = Folder::open(Some(&scratch.0.join("a/b")), is_root).unwrap();
        assert_eq!(mode(folder.path()), expected);
        assert_eq!(mode(&scratch.0.join("a")), expected);
    }
}

#[test]
fn private_file_replaces_an_open_one() {
    let scratch = Scratch::new("replace");
    let folder = Folder::open(Some(&scratch.0), false).unwrap();
    let path = folder.operator_token();
    fs::write(&path, "something longer").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    write_private(&path, "short").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "short\n");
    assert_eq!(mode(&path), 0o600);
}

#[test]
#[cfg(not(target_os = "macos"))]
fn default_folder_is_that_of_the_user_or_of_the_machine() {
    let of = |is_root, state: Option<&str>, home: Option<&str>| {
        let dir = default_dir(is_root, state.map(Into::into), home.map(Into::into));
        dir.map(|dir| dir.into_os_string().into_string().unwrap())
    };
    let dir = |text: &str| Some(text.to_owned());
    assert_eq!(
        of(true, Some("/s"), Some("/root")),
        dir("/var/lib/rollcall/dev")
    );
    assert_eq!(of(false, Some("/s"), Some("/h")), dir("/s/rollcall/dev"));
    for ignored in [None, Some(""), Some("relative")] {
        assert_eq!(
            of(false, ignored, Some("/h")),
            dir("/h/.local/state/rollcall/dev")
        );
    }
    assert_eq!(of(false, Some("/s"), None), dir("/s/rollcall/dev"));
    assert_eq!(of(false, None, None), None);
}

#[test]
fn folder_that_others_own_or_may_write_to_is_refused() {
    let scratch = Scratch::new("owner");
    let folder = Folder::open(Some(&scratch.0), false).unwrap();
    let uid = fs::metadata(folder.path()).unwrap().uid();
    folder.require_owner(uid).unwrap();
    let refused = folder.require_owner(uid + 1).unwrap_err();
    assert!(matches!(refused, Error::NotOurs(_)), "{refused}");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o770)).unwrap();
    assert!(folder.require_owner(uid).is_err());
}
