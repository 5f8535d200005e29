//! How long a user's password is not checked after wrong ones: nobody minds the first few, and
//! who guesses is soon made to wait.

use std::time::Duration;

/// The seconds to wait after so many wrong passwords in a row, of one on: none after the first
/// four, one after the fifth, then twice as long each time. The last holds from there on.
pub const DELAYS: [i32; 15] = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900];

/// How long no password is checked after so many wrong ones in a row.
#[must_use]
pub fn delay(failures: u32) -> Duration {
    let last = DELAYS.len() - 1;
    let at = failures.checked_sub(1).map(|at| last.min(at as usize));
    let seconds = at.map_or(0, |at| DELAYS[at].unsigned_abs());
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_begins_after_five_and_doubles_up_to_a_quarter_of_an_hour() {
        let seconds = |failures| delay(failures).as_secs();
        assert_eq!([0, 1, 4].map(seconds), [0, 0, 0]);
        assert_eq!([5, 6, 7, 14].map(seconds), [1, 2, 4, 512]);
        assert_eq!([15, 16, 100, u32::MAX].map(seconds), [900; 4]);
    }

    #[test]
    fn delay_never_shrinks() {
        assert!(DELAYS.is_sorted());
    }
}
