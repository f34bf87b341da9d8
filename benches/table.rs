//! The table that a benchmark prints: ours beside a peer, their ratio, and whether a target is met.

use std::fmt::Write as _;
use std::time::Duration;

/// What was measured, a row a line.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<[String; 7]>,
}

impl Table {
    /// Durations of ours and of the peer, in the pairs in which they were measured.
    pub(super) fn times(
        &mut self,
        what: String,
        pairs: &[(Duration, Duration)],
        target: Option<f64>,
    ) {
        let seconds = |pick: fn(&(Duration, Duration)) -> Duration| {
            median(pairs.iter().map(|pair| pick(pair).as_secs_f64()).collect())
        };
        let ratios = pairs
            .iter()
            .map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64());
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = median(ratios.clone());
        self.rows.push([
            what,
            spoken(seconds(|pair| pair.0)),
            spoken(seconds(|pair| pair.1)),
            format!("{ratio:.2}"),
            format!("{:.2}–{:.2}", ratios[0], ratios[ratios.len() - 1]),
            target.map_or(String::new(), |target| format!("≤ {target:.1}")),
            target.map_or(String::new(), |target| verdict(ratio <= target)),
        ]);
    }

    /// Peaks in MiB on many rows and on few. What few rows do not fill, the page cache takes on many.
    pub(super) fn memory(&mut self, what: String, many: f64, few: f64) {
        let ratio = many / few;
        self.rows.push([
            what,
            format!("{many:.1} MiB"),
            format!("{few:.1} MiB"),
            format!("{ratio:.2}"),
            String::new(),
            format!("≤ {SAME:.1}, {MOST:.0} MiB"),
            verdict(ratio <= SAME && many.max(few) <= MOST),
        ]);
    }

    /// A duration with us and one without us.
    pub(super) fn beside(
        &mut self,
        what: String,
        ours: Duration,
        peer: Duration,
        target: Option<Duration>,
    ) {
        let (ours, peer) = (ours.as_secs_f64(), peer.as_secs_f64());
        let target = target.map(|it| it.as_secs_f64());
        self.rows.push([
            what,
            spoken(ours),
            spoken(peer),
            format!("{:.2}", ours / peer),
            String::new(),
            target.map_or(String::new(), |target| format!("≤ {}", spoken(target))),
            target.map_or(String::new(), |target| verdict(ours <= target)),
        ]);
    }

    /// A duration of ours.
    pub(super) fn within(&mut self, what: String, ours: Duration, target: Option<Duration>) {
        let none = String::new;
        let met = |target| verdict(ours <= target);
        self.rows.push([
            what,
            spoken(ours.as_secs_f64()),
            none(),
            none(),
            none(),
            target.map_or(none(), |it| format!("≤ {}", spoken(it.as_secs_f64()))),
            target.map_or(none(), met),
        ]);
    }

    /// Sizes in MiB.
    pub(super) fn size(&mut self, what: String, ours: f64, peer: Option<f64>, target: Option<f64>) {
        let none = String::new;
        self.rows.push([
            what,
            format!("{ours:.1} MiB"),
            peer.map_or(none(), |peer| format!("{peer:.1} MiB")),
            none(),
            none(),
            target.map_or(none(), |target| format!("≤ {target:.0} MiB")),
            target.map_or(none(), |target| verdict(ours <= target)),
        ]);
    }

    /// How often something went wrong with us and without us, which it never should.
    pub(super) fn counts(&mut self, what: String, [ours, peer]: [String; 2], is_none: bool) {
        let none = String::new;
        self.rows.push([
            what,
            ours,
            peer,
            none(),
            none(),
            "none".to_owned(),
            verdict(is_none),
        ]);
    }

    pub(super) fn skipped(&mut self, what: String, why: &str) {
        let none = String::new;
        self.rows
            .push([what, none(), none(), none(), none(), none(), why.to_owned()]);
    }

    pub(super) fn printed(&self) -> String {
        let head =
            ["what", "ours", "peer", "ratio", "min–max", "target", ""].map(ToOwned::to_owned);
        let width = |at: usize| {
            let rows = std::iter::once(&head).chain(&self.rows);
            rows.map(|row| row[at].chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        let line = |row: &[String; 7]| {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(widths).skip(1) {
                let _ = write!(line, "  {cell:>width$}");
            }
            line.trim_end().to_owned()
        };
        let rows = self.rows.iter().map(line);
        let lines: Vec<String> = std::iter::once(line(&head)).chain(rows).collect();
        lines.join("\n")
    }
}

/// Up to where two peaks are called the same.
const SAME: f64 = 1.1;

/// The memory that a change may take, in MiB.
pub(super) const MOST: f64 = 64.0;

fn verdict(met: bool) -> String {
    if met { "met" } else { "missed" }.to_owned()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

/// A time in the unit that suits it.
pub(super) fn spoken(seconds: f64) -> String {
    if seconds < 1e-4 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// The number with commas.
pub(super) fn counted(number: u32) -> String {
    let digits = number.to_string();
    let mut counted = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            counted.push(',');
        }
        counted.push(digit);
    }
    counted
}
