//! `rollcall keys`: the signing keys, around a running server.

use std::{error::Error, time::Duration};

use time::OffsetDateTime;

use super::{pool, print_line};
use crate::{
    config::{DatabaseOptions, ResealKeys, RotateKeys},
    identity::{SigningKeys, list_signing_keys, reseal_signing_keys},
    model::{
        audit::Act,
        signing_key::{KeyState, SigningKey},
    },
};

const HEADER: [&str; 7] = [
    "KID",
    "ALGORITHM",
    "STATE",
    "CREATED",
    "ACTIVATED",
    "RETIRED",
    "EXPIRES",
];

pub(super) async fn list(database: &DatabaseOptions) -> Result<(), Box<dyn Error>> {
    let keys = list_signing_keys(&pool(database)?).await?;
    if keys.is_empty() {
        eprintln!("there is no signing key yet: a server makes them when it starts");
        return Ok(());
    }
    let rows: Vec<_> = std::iter::once(HEADER.map(str::to_owned))
        .chain(keys.iter().map(row))
        .collect();
    for line in table(&rows) {
        print_line(&line);
    }
    Ok(())
}

pub(super) async fn rotate(options: &RotateKeys) -> Result<(), Box<dyn Error>> {
    options.access_tokens.validate()?;
    let keys = SigningKeys::new(
        pool(&options.database)?,
        &options.master_key.load()?,
        // Nothing is renewed here.
        options.access_tokens.policy(Duration::ZERO),
    );
    let act = Act::of_command_line();
    let active = if options.emergency {
        let active = keys.rotate_in_emergency(&act).await?;
        eprintln!("the keys that had signed are dropped, with their tokens");
        active
    } else {
        keys.rotate(&act).await?
    };
    eprintln!("the signing key is {} ({})", active.kid, active.algorithm);
    Ok(())
}

pub(super) async fn reseal(options: &ResealKeys) -> Result<(), Box<dyn Error>> {
    let master_keys = options.master_key.load()?;
    let done = reseal_signing_keys(&pool(&options.database)?, &master_keys).await?;
    eprintln!(
        "{} resealed under the first master key, {} already were",
        count(done.resealed),
        done.unchanged
    );
    Ok(())
}

fn count(keys: usize) -> String {
    match keys {
        1 => "1 signing key".to_owned(),
        keys => format!("{keys} signing keys"),
    }
}

fn row(key: &SigningKey) -> [String; 7] {
    let state = match key.state {
        KeyState::Next => "next",
        KeyState::Active { .. } => "active",
        KeyState::Retiring { .. } => "retiring",
        KeyState::Gone { dropped: false, .. } => "gone",
        KeyState::Gone { dropped: true, .. } => "dropped",
    };
    let time = |time: Option<OffsetDateTime>| time.map_or_else(|| "-".to_owned(), text);
    [
        key.kid.clone(),
        key.algorithm.to_string(),
        state.to_owned(),
        text(key.created_at),
        time(key.activated_at()),
        time(key.retired_at()),
        time(key.expires_at()),
    ]
}

/// As RFC 3339 has it, in whole seconds.
fn text(time: OffsetDateTime) -> String {
    let (date, clock) = (time.date(), time.time());
    format!(
        "{date}T{:02}:{:02}:{:02}Z",
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// Columns as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_as_rfc_3339_has_it() {
        let time = OffsetDateTime::from_unix_timestamp(1_700_000_001).unwrap();
        assert_eq!(text(time), "2023-11-14T22:13:21Z");
    }

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let cell = |text: &str| text.to_owned();
        let rows = [[cell("A"), cell("BB")], [cell("CCC"), cell("D")]];
        assert_eq!(table(&rows), ["A    BB", "CCC  D"]);
    }
}
