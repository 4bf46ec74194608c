//! Two actors of one node, for tests that run one at a time: they count the handles of the process.
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use coppice::{Actor, Level, Mail, Node, NodeOptions, Ref};

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(60);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub struct Two {
    pub a: Actor,
    pub b: Actor,
    pub to_b: Ref,
    pub node: Node,
}

/// Found by its name on the whole machine.
pub fn tree() -> String {
    format!("rust-test-{}", std::process::id())
}

pub fn quiet() -> NodeOptions {
    Node::options().log_level(Level::Off)
}

/// Runs a test, after which no handle is left.
pub fn with_two_actors(test: impl FnOnce(&Two)) {
    alone(|| {
        let node = quiet().name(tree()).open().unwrap();
        let (a, b) = (node.actor("a").unwrap(), node.actor("b").unwrap());
        let to_b = a.find(&format!("/{}/b", tree())).unwrap();
        test(&Two { a, b, to_b, node });
    });
}

pub fn alone(test: impl FnOnce()) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    test();
    assert_eq!(coppice::open_handles(), 0, "handles are left open");
}

impl Two {
    /// Runs `asking` while b answers on a thread.
    pub fn while_b_answers(&self, answer: impl Fn(Mail) + Send, asking: impl FnOnce()) {
        struct Stop<'a>(&'a Two);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.a.stop(&self.0.to_b).unwrap();
            }
        }
        thread::scope(|threads| {
            threads.spawn(|| self.b.into_iter().for_each(answer));
            let _stop = Stop(self);
            asking();
        });
    }
}
