//! Work on several instances at the same time.

use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::error::Result;

use super::progress::Step;

/// How often it is told that the work goes on: so soon an observer can ask it to stop.
const TELL: Duration = Duration::from_millis(100);

/// Tells what becomes of one of several instances.
pub(super) struct Voice {
    place: usize,
    sender: Sender<(usize, Step, Sender<()>)>,
}

impl Voice {
    /// Tells it, and returns when that is in the ledger. Nobody who listens is no reason not to go on.
    pub(super) fn tell(&self, step: Step) {
        let (is_heard, heard) = mpsc::channel();
        if self.sender.send((self.place, step, is_heard)).is_ok() {
            // The other end goes when it is heard.
            let _ = heard.recv();
        }
    }
}

/// Does `work` on each of the items in a thread of its own, to the end. `hear` hears in this one what each tells, its
/// last step too, and nothing where there was no news for a moment. Returns these last steps in the order of the items,
/// and the first error of hearing.
pub(super) fn at_once<Item: Sync>(
    items: &[Item],
    work: impl Fn(&Item, &Voice) -> Step + Sync,
    mut hear: impl FnMut(Option<(&Item, &Step)>) -> Result<()>,
) -> (Vec<Step>, Result<()>) {
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let work = &work;
        let start = |(place, item)| {
            let sender = sender.clone();
            scope.spawn(move || {
                let voice = Voice { place, sender };
                let last = work(item, &voice);
                voice.tell(last.clone());
                last
            })
        };
        let threads: Vec<_> = items.iter().enumerate().map(start).collect();
        drop(sender);
        let mut heard = Ok(());
        loop {
            let outcome = match receiver.recv_timeout(TELL) {
                Ok((place, step, _is_heard)) => hear(Some((&items[place], &step))),
                Err(RecvTimeoutError::Timeout) => hear(None),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            heard = heard.and(outcome);
        }
        let ended = threads.into_iter().map(thread::ScopedJoinHandle::join);
        let steps = ended.map(|it| it.unwrap_or_else(|panic| panic::resume_unwind(panic)));
        (steps.collect(), heard)
    })
}
