//! Times in words.

use std::time::Duration;

/// About how long a time is, in the unit that matters: `90 s`, `4 min`, `3 h`.
#[must_use]
pub fn rounded(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h", (seconds + 1800) / 3600),
    }
}
