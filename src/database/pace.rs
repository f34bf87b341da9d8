//! How much a turn may take, and how long the lock stays free behind it: the decisions alone, without a clock.

use std::time::Duration;

/// How long a turn should work under the write lock while others write too: with its commit not longer than the first
/// step of SQLite's back-off, so that who finds the lock taken has it a millisecond later.
const SHORT: Duration = Duration::from_micros(800);

/// How long a turn may work while nobody else writes. Longer ones are no faster.
const LONG: Duration = Duration::from_millis(8);

/// How long the lock stays free between two turns while others write. Without a gap a waiting writer, who looks
/// after 1, 2, 5, 10, 15 … ms, would miss the moment in which it is free again and again.
const GAP: Duration = Duration::from_millis(5);

/// How long the lock is free at a stretch from time to time even while nobody else seems to write. Who has just
/// begun to wait cannot be seen; in the first 128 ms he looks at least this often, so that he gets his turn.
const REST: Duration = Duration::from_millis(25);

/// How long we hold the lock, all turns together, until such a rest.
const UNTIL_REST: Duration = Duration::from_millis(100);

/// How long nobody else may have written until we take ourselves to be alone: as we begin …
const QUIET_AT_FIRST: Duration = Duration::from_millis(100);

/// … and once we have seen somebody.
const QUIET: Duration = Duration::from_secs(1);

/// The pace of work that is done in many turns with the write lock.
///
/// There are two of them. Among others a turn is short and the lock is free for longer than it was held; alone,
/// turns are longer and there are hardly any gaps. It starts among others, goes back there at the first sign of
/// anybody, and trusts in being alone after a quiet time.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    last: u32,
    /// Nanoseconds that a row costs, of late.
    cost: Option<u64>,
    quiet: Duration,
    quiet_wanted: Duration,
    held: Duration,
}

impl Pace {
    /// A pace for turns of at most `most` rows, the first of which takes `at_first`, as nothing is known yet; nobody else has
    /// written for the time `quiet`.
    pub(super) fn new(at_first: u32, most: u32, quiet: Duration) -> Self {
        Self {
            most: most.max(1),
            last: at_first,
            cost: None,
            quiet,
            quiet_wanted: QUIET_AT_FIRST,
            held: Duration::ZERO,
        }
    }

    /// Whether nobody else has written for long enough.
    pub(super) fn is_alone(&self) -> bool {
        self.quiet >= self.quiet_wanted
    }

    /// How many rows the next turn may take: what fits into its time, and at most twice as many as the last one,
    /// since rows further on may cost more.
    pub(super) fn rows(&self) -> u32 {
        let time = if self.is_alone() { LONG } else { SHORT };
        let fitting = match self.cost {
            Some(cost) => u32::try_from(nanoseconds(time) / cost).unwrap_or(u32::MAX),
            None => self.last,
        };
        fitting.min(self.last.saturating_mul(2)).clamp(1, self.most)
    }

    /// How long the lock is to be free before the next turn.
    pub(super) fn gap(&self) -> Duration {
        if !self.is_alone() {
            GAP
        } else if self.held >= UNTIL_REST {
            REST
        } else {
            Duration::ZERO
        }
    }

    /// The lock was free for this long.
    pub(super) fn was_free(&mut self, gap: Duration) {
        if gap >= REST {
            self.held = Duration::ZERO;
        }
    }

    /// What has been seen of others in the time since the last look.
    pub(super) fn look(&mut self, others: bool, passed: Duration) {
        if others {
            self.quiet = Duration::ZERO;
            self.quiet_wanted = QUIET;
        } else {
            self.quiet += passed;
        }
    }

    /// A turn held the lock for the time `held`, in which it worked on `rows` rows for the time `worked`.
    pub(super) fn took(&mut self, rows: u32, worked: Duration, held: Duration) {
        let rows = rows.max(1);
        let now = (nanoseconds(worked) / u64::from(rows)).max(1);
        // One turn may have been held up by whatever else the machine does.
        self.cost = Some(self.cost.map_or(now, |cost| u64::midpoint(cost, now)));
        self.last = rows;
        self.held += held;
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_FIRST: u32 = 1024;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Takes turns at so many microseconds a row, and returns the rows of each.
    fn turns(pace: &mut Pace, count: usize, cost: u32) -> Vec<u32> {
        let turn = |_| {
            let rows = pace.rows();
            let held = Duration::from_micros(u64::from(rows * cost));
            pace.took(rows, held, held);
            rows
        };
        (0..count).map(turn).collect()
    }

    #[test]
    fn among_others_turns_are_short_and_gaps_long() {
        let mut pace = Pace::new(AT_FIRST, 10_000, Duration::ZERO);
        assert_eq!(turns(&mut pace, 3, 4), [1024, 200, 200]);
        assert_eq!(pace.gap(), GAP);
    }

    #[test]
    fn turns_are_never_longer_than_allowed() {
        let mut pace = Pace::new(AT_FIRST, 100, Duration::ZERO);
        assert_eq!(turns(&mut pace, 2, 1), [100, 100]);
        assert_eq!(Pace::new(AT_FIRST, 0, Duration::ZERO).rows(), 1);
    }

    #[test]
    fn rows_that_cost_much_are_taken_one_by_one() {
        let mut pace = Pace::new(AT_FIRST, 10_000, Duration::ZERO);
        assert_eq!(turns(&mut pace, 3, 50_000), [1024, 1, 1]);
    }

    #[test]
    fn commits_that_wait_for_the_disk_make_no_turn_smaller() {
        let mut pace = Pace::new(AT_FIRST, 10_000, Duration::ZERO);
        turns(&mut pace, 3, 4);
        pace.took(200, Duration::from_micros(200 * 4), ms(20));
        assert_eq!(pace.rows(), 200);
    }

    #[test]
    fn turns_grow_step_by_step() {
        let mut pace = Pace::new(AT_FIRST, 10_000, Duration::ZERO);
        turns(&mut pace, 2, 100);
        assert_eq!(turns(&mut pace, 4, 0), [8, 16, 32, 64]);
    }

    #[test]
    fn one_slow_turn_halves_the_pace_and_no_more() {
        let mut pace = Pace::new(AT_FIRST, 10_000, Duration::ZERO);
        turns(&mut pace, 3, 2);
        assert_eq!(pace.rows(), 400);
        turns(&mut pace, 1, 6);
        assert_eq!(turns(&mut pace, 4, 2), [200, 266, 320, 355]);
    }

    #[test]
    fn alone_after_a_short_look_around() {
        let mut pace = Pace::new(AT_FIRST, 10_000, Duration::ZERO);
        turns(&mut pace, 3, 4);
        pace.look(false, ms(99));
        assert!(!pace.is_alone());
        pace.look(false, ms(1));
        assert!(pace.is_alone());
        assert_eq!(pace.gap(), Duration::ZERO);
        assert_eq!(turns(&mut pace, 4, 4), [400, 800, 1600, 2000]);
    }

    #[test]
    fn alone_at_once_where_it_was_quiet_before() {
        assert!(Pace::new(AT_FIRST, 10_000, QUIET_AT_FIRST).is_alone());
    }

    #[test]
    fn the_first_sign_of_another_writer_brings_the_manners_back() {
        let mut pace = Pace::new(AT_FIRST, 10_000, QUIET_AT_FIRST);
        turns(&mut pace, 9, 4);
        assert_eq!(pace.rows(), 2000);
        pace.look(true, ms(1));
        assert_eq!((pace.rows(), pace.gap()), (200, GAP));
    }

    #[test]
    fn somebody_who_was_seen_is_not_forgotten_for_a_second() {
        let mut pace = Pace::new(AT_FIRST, 10_000, QUIET_AT_FIRST);
        pace.look(true, ms(1));
        pace.look(false, ms(999));
        assert!(!pace.is_alone());
        pace.look(true, ms(1));
        pace.look(false, ms(999));
        assert!(!pace.is_alone());
        pace.look(false, ms(1));
        assert!(pace.is_alone());
    }

    #[test]
    fn even_alone_the_lock_is_free_for_a_while_now_and_then() {
        let mut pace = Pace::new(AT_FIRST, 10_000, QUIET_AT_FIRST);
        pace.took(10_000, ms(60), ms(60));
        assert_eq!(pace.gap(), Duration::ZERO);
        pace.took(10_000, ms(60), ms(60));
        assert_eq!(pace.gap(), REST);
        pace.was_free(ms(24));
        assert_eq!(pace.gap(), REST);
        pace.was_free(ms(25));
        assert_eq!(pace.gap(), Duration::ZERO);
    }
}
