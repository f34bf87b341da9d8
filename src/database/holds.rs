//! How long the write lock was held, turn for turn, in memory that does not grow with their number.

use std::time::Duration;

use crate::event::Holds;

/// Each power of two is split into this many buckets, so that a figure is off by an eighth at most.
const PARTS: usize = 8;

/// Enough for 19 hours.
const BUCKETS: usize = PARTS * 34;

/// Counts durations by their magnitude.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [u64; BUCKETS],
    max: Duration,
}

impl Histogram {
    /// One that has counted nothing.
    pub(super) fn new() -> Self {
        Self {
            buckets: [0; BUCKETS],
            max: Duration::ZERO,
        }
    }

    pub(super) fn add(&mut self, time: Duration) {
        self.buckets[bucket(time)] += 1;
        self.max = self.max.max(time);
    }

    /// What there is to tell of them; `waited` is what nobody counts here.
    pub(super) fn summary(&self, waited: Duration) -> Holds {
        Holds {
            turns: self.buckets.iter().sum(),
            p50: self.below(50),
            p99: self.below(99),
            max: self.max,
            waited,
        }
    }

    /// The duration that so many of a hundred do not exceed.
    fn below(&self, percent: u64) -> Duration {
        let all: u64 = self.buckets.iter().sum();
        let mut left = (all * percent).div_ceil(100);
        for (bucket, count) in self.buckets.iter().enumerate() {
            if left <= *count {
                return end(bucket).min(self.max);
            }
            left -= count;
        }
        self.max
    }
}

/// The bucket of a duration, counted in microseconds: the first ones are a microsecond each.
fn bucket(time: Duration) -> usize {
    let micros = usize::try_from(time.as_micros()).unwrap_or(usize::MAX);
    if micros < PARTS {
        return micros;
    }
    let doublings = (micros / PARTS).ilog2();
    let part = (micros >> doublings) - PARTS;
    (PARTS * (doublings as usize + 1) + part).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn end(bucket: usize) -> Duration {
    let (doublings, part) = (bucket / PARTS, bucket % PARTS);
    let micros = match doublings {
        0 => part + 1,
        more => (PARTS + part + 1) << (more - 1),
    };
    Duration::from_micros(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_below_the_end_of_its_bucket_by_an_eighth_at_most() {
        for micros in (0..100_000).chain([10_000_000, 3_600_000_000]) {
            let time = Duration::from_micros(micros);
            let end = end(bucket(time));
            assert!(time < end, "{time:?} is not below {end:?}");
            let above = end.checked_sub(time).unwrap();
            assert!(
                above <= time / 8 + Duration::from_micros(1),
                "{time:?} {end:?}"
            );
        }
    }

    #[test]
    fn longer_than_anything_is_counted_too() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::MAX);
        let holds = histogram.summary(Duration::ZERO);
        assert_eq!((holds.turns, holds.max), (1, Duration::MAX));
    }

    #[test]
    fn ranks_are_those_of_a_sorted_list() {
        let mut histogram = Histogram::new();
        for milliseconds in 1..=200 {
            histogram.add(Duration::from_millis(milliseconds));
        }
        let holds = histogram.summary(Duration::from_secs(1));
        let close = |found: Duration, wanted: u64| {
            let wanted = Duration::from_millis(wanted);
            assert!(found >= wanted && found <= wanted * 9 / 8, "{found:?}");
        };
        close(holds.p50, 100);
        close(holds.p99, 198);
        assert_eq!(holds.max, Duration::from_millis(200));
        assert_eq!(holds.turns, 200);
    }

    #[test]
    fn nothing_held_is_nothing() {
        assert_eq!(Histogram::new().summary(Duration::ZERO), Holds::default());
    }
}
