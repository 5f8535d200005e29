use std::{env, os::unix::fs::PermissionsExt, process, sync::atomic::AtomicU32, thread};

use super::*;

/// A folder of its own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("rollcall-file-store-{}-{number}", process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.0.join("tokens.json"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tokens(generation: u64) -> Tokens {
    Tokens {
        access_token: Zeroizing::new("access".to_owned()),
        refresh_token: Zeroizing::new("refresh".to_owned()),
        request_id: None,
        lifetime: generation,
        asked_at: 3,
        begun_at: 0,
    }
}

fn put(store: &FileStore, tokens: Tokens) {
    store.update(Box::new(|_| Some(tokens))).unwrap();
}

fn read(store: &FileStore) -> Option<Tokens> {
    store.update(Box::new(|kept| kept)).unwrap()
}

#[test]
fn tokens_survive_their_store_with_the_refresh_that_is_under_way() {
    let folder = Folder::new();
    assert_eq!(read(&folder.store()), None);
    let id = Zeroizing::new("the request".to_owned());
    let kept = tokens(600).refreshing(id, 42);
    put(&folder.store(), kept.clone());
    assert_eq!(read(&folder.store()), Some(kept));
}

#[test]
fn file_is_its_owners_alone_even_where_a_crash_left_another_behind() {
    let folder = Folder::new();
    let store = folder.store();
    fs::write(store.beside(".new"), "half").unwrap();
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(store.beside(".new"), open).unwrap();
    put(&store, tokens(1));
    let mode = fs::metadata(&store.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn corrupt_file_is_an_error_that_names_it_and_is_left_alone() {
    let folder = Folder::new();
    let store = folder.store();
    for corrupt in ["", "{", r#"{"version":2}"#, "[]"] {
        fs::write(&store.path, corrupt).unwrap();
        let error = store.update(Box::new(|_| Some(tokens(1)))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let path = store.path.display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
        assert_eq!(fs::read_to_string(&store.path).unwrap(), corrupt);
    }
}

#[test]
fn removed_tokens_leave_no_file() {
    let folder = Folder::new();
    let store = folder.store();
    put(&store, tokens(1));
    store.update(Box::new(|_| None)).unwrap();
    assert!(!store.path.exists());
    assert_eq!(read(&store), None);
}

#[test]
fn updates_of_many_stores_on_one_file_lose_none() {
    const EACH: u64 = 25;
    let folder = Folder::new();
    put(&folder.store(), tokens(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = folder.store();
                for _ in 0..EACH {
                    let change = |kept: Option<Tokens>| kept.map(|kept| tokens(kept.lifetime + 1));
                    store.update(Box::new(change)).unwrap();
                }
            });
        }
    });
    assert_eq!(read(&folder.store()).unwrap().lifetime, 4 * EACH);
}
