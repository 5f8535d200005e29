//! The direction of imports: server -> grpc -> identity -> store -> model.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The layers, outermost first; each may import only those after it, and itself. The
/// command line stands above them all.
const LAYERS: [&str; 6] = ["command", "server", "grpc", "identity", "store", "model"];

/// What no layer below the server may know.
const ABOVE: [&str; 3] = ["config", "dev", "telemetry"];

/// What every layer may know, and what knows none of them.
const LEAVES: [&str; 2] = ["metrics", "spans"];

/// All of the client library that is not its own: what it shares with the server.
const CLIENT_KNOWS: [&str; 7] = [
    "client",
    "error_chain",
    "model::access_token",
    "model::jwk",
    "model::token_mode",
    "proto",
    "model::ids",
];

/// What only some layers may know.
const ONLY_IN: [(&str, &[&str]); 4] = [
    ("diesel", &["store"]),
    ("tonic", &["command", "server", "grpc"]),
    ("crate::proto", &["command", "server", "grpc"]),
    ("prometheus_client", &[]),
];

#[test]
fn layers_import_only_what_is_below_them() {
    for (at, layer) in LAYERS.iter().enumerate() {
        for (file, text) in sources(layer) {
            let outer = if *layer == "command" || *layer == "server" {
                &[][..]
            } else {
                &ABOVE[..]
            };
            for above in LAYERS[..at].iter().chain(outer) {
                let import = format!("crate::{above}");
                let imports = text.contains(&format!("{import}::"))
                    || text.contains(&format!("{import};"))
                    || grouped(&text, above);
                assert!(
                    !imports,
                    "{} imports {above}, which is above it",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn leaves_import_nothing_but_themselves() {
    for leaf in LEAVES {
        for (file, text) in sources(leaf) {
            let foreign = imports(&text)
                .into_iter()
                .find(|path| path != leaf && !path.starts_with(&format!("{leaf}::")));
            assert_eq!(foreign, None, "{}", file.display());
        }
    }
}

#[test]
fn each_library_stays_in_its_layer() {
    for layer in LAYERS {
        for (file, text) in sources(layer) {
            for (name, allowed) in ONLY_IN {
                let used = text.lines().any(|line| {
                    let line = line.trim_start();
                    !line.starts_with("//") && line.contains(&format!("{name}::"))
                });
                assert!(
                    !used || allowed.contains(&layer),
                    "{} knows {name}",
                    file.display()
                );
            }
        }
    }
}

/// A client is on the other side of the wire.
#[test]
fn client_and_server_do_not_know_each_other() {
    for layer in LAYERS.iter().filter(|layer| **layer != "command") {
        for (file, text) in sources(layer) {
            let imports = text.contains("crate::client") || grouped(&text, "client");
            assert!(!imports, "{} imports client", file.display());
        }
    }
    for (file, text) in sources("client") {
        let foreign = imports(&text).into_iter().find(|path| {
            !CLIENT_KNOWS
                .iter()
                .any(|known| path == known || path.starts_with(&format!("{known}::")))
        });
        assert_eq!(foreign, None, "{}", file.display());
    }
}

/// Every path below `crate` that a text imports, with the groups of `use` written out.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split("crate::").skip(1) {
        let end = if part.starts_with('{') {
            part.find(';').unwrap_or(part.len())
        } else {
            let is_part = |c: char| c.is_alphanumeric() || "_:{".contains(c);
            let end = part.find(|c| !is_part(c)).unwrap_or(part.len());
            match part[..end].find('{') {
                Some(_) => part.find(';').unwrap_or(part.len()),
                None => end,
            }
        };
        write_out("", &part[..end], &mut found);
    }
    found
}

/// Writes `a::{b, c::{d, e}}` out as `a::b`, `a::c::d` and `a::c::e`.
fn write_out(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let Some((path, group)) = tree.split_once('{') else {
        found.push(format!("{prefix}{}", tree.trim()));
        return;
    };
    let prefix = format!("{prefix}{}", path.trim());
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                write_out(&prefix, &group[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !group[start..].trim().is_empty() {
        write_out(&prefix, &group[start..], found);
    }
}

#[test]
fn groups_of_imports_are_written_out() {
    let text =
        "use crate::{\n    model::{a, b::{c, d}},\n    proto,\n};\nlet x = crate::store::y();";
    let expected = [
        "model::a",
        "model::b::c",
        "model::b::d",
        "proto",
        "store::y",
    ];
    assert_eq!(imports(text), expected);
    assert_eq!(
        imports("use crate::model::{ids, user};"),
        ["model::ids", "model::user"]
    );
}

/// Whether `use crate::{ ... }` names `module` at its first level.
fn grouped(text: &str, module: &str) -> bool {
    text.split("use crate::{").skip(1).any(|group| {
        let end = group.find("};").unwrap_or(group.len());
        let mut depth = 0;
        group[..end].split_inclusive(['{', '}', ',']).any(|part| {
            let name = part.trim().trim_end_matches(['{', '}', ',']).trim();
            let first = depth == 0 && name.split("::").next() == Some(module);
            depth += part.matches('{').count();
            depth = depth.saturating_sub(part.matches('}').count());
            first
        })
    })
}

#[test]
fn grouped_imports_are_seen() {
    let text = "use crate::{\n    model::{a, store},\n    server,\n};";
    assert!(grouped(text, "model") && grouped(text, "server"));
    assert!(!grouped(text, "store") && !grouped(text, "grpc"));
}

/// The files of a layer: `src/NAME.rs` and everything in `src/NAME/`.
fn sources(layer: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![src.join(format!("{layer}.rs"))];
    let mut folders = vec![src.join(layer)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    let sources: Vec<_> = found
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).expect("readable")))
        .collect();
    assert!(!sources.is_empty(), "{layer} has files");
    sources
}
