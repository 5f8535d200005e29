//! Moments on the command line.

use std::{str::FromStr, time::Duration};

use prost_types::Timestamp;

/// A moment: a time of RFC 3339, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// A time.
    At(Timestamp),
    /// So long before the command runs, by the clock of this machine.
    Ago(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        let time = humantime::parse_rfc3339_weak(text).map(Timestamp::from);
        // Offsets other than Z are known to this one.
        let time = time.or_else(|_| text.parse::<Timestamp>());
        time.map(Self::At).map_err(|_| {
            "must be a time such as 2026-11-25T08:30:00Z, or how long ago: 2h, 30days".to_owned()
        })
    }
}

impl When {
    /// The time, where it is `now`, in microseconds since 1970, at the moment.
    #[must_use]
    pub fn time(&self, now: i64) -> Timestamp {
        match self {
            Self::At(time) => *time,
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
                let micros = now.saturating_sub(ago);
                Timestamp {
                    seconds: micros.div_euclid(1_000_000),
                    nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_duration_are_told_apart() {
        let at = |text: &str| text.parse::<When>().unwrap().time(7_200_000_000);
        assert_eq!(at("1970-01-01T00:00:01Z").seconds, 1);
        assert_eq!(at("1970-01-01T02:00:01+02:00").seconds, 1);
        assert_eq!(at("1h").seconds, 3_600);
        assert_eq!(at("2h 1s 1ms").seconds, -2);
        assert_eq!(at("2h 1s 1ms").nanos, 999_000_000);
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "5"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
