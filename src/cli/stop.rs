//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use crate::changeover::Changeover;

/// What a shell says of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// How often somebody who sleeps looks whether he is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Whether somebody has asked the work to stop.
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from here on: a statement that runs is interrupted, so that even a long transaction ends at once.
    pub(super) fn heard_by(changeover: &Changeover) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let (interrupter, heard) = (changeover.interrupter(), Arc::clone(&asked));
        // Where signals cannot be listened to, they end the process, and the file is safe all the same.
        let _ = ctrlc::set_handler(move || {
            if heard.swap(true, Ordering::Relaxed) {
                end();
            }
            interrupter.interrupt();
        });
        Self(asked)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What an observer answers.
    pub(super) fn verdict(&self) -> ControlFlow<()> {
        if self.is_asked() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Sleeps for so long, or until it is asked to stop.
    pub(super) fn sleep(&self, time: Duration) {
        let begun = Instant::now();
        while !self.is_asked() && begun.elapsed() < time {
            thread::sleep(LOOK.min(time));
        }
    }
}

#[allow(clippy::exit)]
fn end() -> ! {
    process::exit(INTERRUPTED)
}
