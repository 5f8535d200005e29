use std::fs;
use std::process::Command;

use uuid::Uuid;

use super::*;

fn screen(address: &str, folder: &Path, palette: Palette) -> String {
    let screen = Screen {
        address: &address.parse().unwrap(),
        socket: &folder.join("postgres/socket"),
        folder,
        operator_token: &folder.join("operator.token"),
        operator_password: "OPERATOR-PASSWORD-OF-24C",
        demo_password: "DEMO-PASSWORD-OF-24-CHAR",
        refresh_token: &format!("rcr_{}", "T".repeat(115)),
        request_id: "REQUEST-ID-OF-24-CHARACT",
        other_session: SessionId(Uuid::from_u128(0x0199_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0123)),
        has_grpcurl: true,
    };
    screen.text(palette)
}

fn plain() -> String {
    screen(
        "127.0.0.1:50051",
        Path::new("/var/lib/rollcall/dev"),
        Palette::Plain,
    )
}

/// The commands, as somebody would copy them.
fn commands(screen: &str) -> Vec<&str> {
    let blocks = screen.split("\n\n");
    blocks
        .filter(|block| block.starts_with("grpcurl "))
        .collect()
}

/// The arguments that a shell calls grpcurl with.
fn arguments(command: &str) -> Vec<String> {
    let script = format!("grpcurl() {{ printf '%s\\0' \"$@\"; }}\n{command}\n");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(ToOwned::to_owned).collect()
}

#[test]
fn screen_is_short_and_says_it_all() {
    insta::assert_snapshot!(plain());
}

#[test]
fn lines_fit_but_for_the_refresh_token() {
    let text = plain();
    let wide: Vec<&str> = text
        .lines()
        .filter(|line| line.chars().count() > 100)
        .collect();
    assert_eq!(wide.len(), 1, "{wide:#?}");
    assert!(wide[0].contains("rcr_"));
}

#[test]
fn colours_change_nothing_but_colours() {
    let folder = Path::new("/var/lib/rollcall/dev");
    let coloured = screen("127.0.0.1:50051", folder, Palette::Colours);
    assert!(coloured.contains('\x1b') && !plain().contains('\x1b'));
    assert_eq!(commands(&coloured), commands(&plain()));
    let stripped = ["\x1b[0m", "\x1b[1m", "\x1b[2m"]
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(stripped, plain());
}

#[test]
fn commands_survive_the_shell_whatever_the_folder_is_called() {
    let name = format!("rollcall screen's $HOME {}", std::process::id());
    let folder = env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("operator.token"), "the.access.token\n").unwrap();
    let text = screen("127.0.0.1:50051", &folder, Palette::Plain);
    let commands = commands(&text);
    assert_eq!(commands.len(), 5);
    for (index, command) in commands.iter().enumerate() {
        let arguments = arguments(command);
        let (method, rest) = arguments.split_last().unwrap();
        assert!(method.contains('/') && rest.last().unwrap() == "127.0.0.1:50051");
        let body = &rest[rest.len() - 2];
        assert!(
            serde_json::from_str::<serde_json::Value>(body).is_ok(),
            "{body}"
        );
        let header = "authorization: Bearer the.access.token".to_owned();
        assert_eq!(
            rest.contains(&header),
            index == 2 || index == 3,
            "{command}"
        );
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn commands_connect_to_where_the_server_can_be_reached() {
    let folder = Path::new("/d");
    for (listen, expected) in [
        ("0.0.0.0:7", "127.0.0.1:7"),
        ("[::]:7", "[::1]:7"),
        ("192.0.2.1:7", "192.0.2.1:7"),
        ("unix:/run/a b.sock", "/run/a b.sock"),
    ] {
        let text = screen(listen, folder, Palette::Plain);
        for command in commands(&text) {
            let arguments = arguments(command);
            assert_eq!(arguments[arguments.len() - 2], expected);
            let is_unix = arguments.contains(&"-unix".to_owned());
            assert_eq!(is_unix, listen.starts_with("unix:"));
        }
    }
}
