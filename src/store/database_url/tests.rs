use super::*;

fn parse(text: &str) -> DatabaseUrl {
    text.parse().unwrap()
}

fn refusal(text: &str) -> String {
    text.parse::<DatabaseUrl>().unwrap_err().to_string()
}

#[test]
fn hosts_take_their_own_ports_or_share_one() {
    let shown = |text| {
        parse(text)
            .hosts
            .iter()
            .map(Host::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown("postgres://a:1,[::1],c:3/db"),
        ["a:1", "[::1]:5432", "c:3"]
    );
    assert_eq!(shown("host=a,b port=7"), ["a:7", "b:7"]);
    assert_eq!(shown("host=/run/pg"), ["/run/pg:5432"]);
    assert_eq!(
        shown("hostaddr=::1,10.0.0.1"),
        ["[::1]:5432", "10.0.0.1:5432"]
    );
}

#[test]
fn a_host_keeps_its_name_beside_an_address() {
    let url = parse("host=db.example hostaddr=10.0.0.1");
    assert_eq!(
        url.hosts,
        [Host {
            name: "db.example".into(),
            address: Some([10, 0, 0, 1].into()),
            port: 5432
        }]
    );
}

#[test]
fn a_folder_with_an_address_is_no_unix_socket() {
    assert!(parse("host=/run/pg").hosts[0].is_unix());
    assert!(!parse("host=/run/pg hostaddr=10.0.0.1").hosts[0].is_unix());
}

#[test]
fn lists_that_do_not_match_are_refused() {
    for (text, option) in [
        ("host=a,b port=1,2,3", "`port`"),
        ("host=a,b hostaddr=10.0.0.1", "`hostaddr`"),
        ("host=a,,b", "`host`"),
        ("user=ana", "`host`"),
        ("host=a port=x", "`port`"),
        ("host=a hostaddr=b", "`hostaddr`"),
    ] {
        assert!(refusal(text).contains(option), "{text}: {}", refusal(text));
    }
}

#[test]
fn sslmode_means_what_it_does_for_libpq() {
    for (options, mode) in [
        ("", SslMode::Prefer),
        ("sslmode=disable", SslMode::Disable),
        ("sslmode=allow", SslMode::Allow),
        ("sslmode=prefer sslrootcert=ca.crt", SslMode::Prefer),
        ("sslmode=require", SslMode::Require),
        ("sslmode=require sslrootcert=ca.crt", SslMode::VerifyCa),
        ("sslmode=verify-ca", SslMode::VerifyCa),
        ("sslmode=verify-full", SslMode::VerifyFull),
        ("sslrootcert=system", SslMode::VerifyFull),
    ] {
        assert_eq!(
            parse(&format!("host=h {options}")).tls.mode,
            mode,
            "{options}"
        );
    }
    assert!(refusal("host=h sslmode=require sslrootcert=system").contains("verify-full"));
    assert!(refusal("host=h sslnegotiation=direct").contains("`sslnegotiation`"));
    assert!(refusal("host=h sslmode=on").contains("`sslmode`"));
    assert!(refusal("host=h sslcert=a").contains("`sslcert`"));
}

#[test]
fn target_session_attrs_are_those_of_libpq() {
    assert_eq!(parse("host=h").target, TargetSession::Any);
    assert_eq!(
        parse("host=h target_session_attrs=prefer-standby").target,
        TargetSession::PreferStandby
    );
    assert!(refusal("host=h target_session_attrs=master").contains("`target_session_attrs`"));
}

#[test]
fn the_driver_gets_the_other_options_and_our_defaults() {
    let config =
        parse(r"host=h user=u password='a\'b\\' options='-c x=\'y\'' keepalives_count=9").config;
    assert_eq!(config.get_password(), Some(r"a'b\".as_bytes()));
    assert_eq!(config.get_options(), Some("-c x='y'"));
    assert_eq!(config.get_application_name(), Some("rollcall"));
    assert_eq!(config.get_keepalives_retries(), Some(9));
    assert_eq!(
        parse("host=h application_name=other")
            .config
            .get_application_name(),
        Some("other")
    );
}

#[test]
fn a_value_that_the_driver_refuses_names_its_option() {
    assert_eq!(
        refusal("host=h password=secret connect_timeout=soon"),
        "invalid value for option `connect_timeout`"
    );
    assert!(refusal("host=h gssencmode=require").contains("`gssencmode`"));
}

#[test]
fn debug_and_display_leave_the_password_out() {
    let url = parse("postgres://ana:secret@h1,h2:2/db?sslmode=disable");
    assert_eq!(url.to_string(), "postgres://ana@h1:5432,h2:2/db");
    assert_eq!(
        format!("{url:?}"),
        "DatabaseUrl(postgres://ana@h1:5432,h2:2/db)"
    );
}
