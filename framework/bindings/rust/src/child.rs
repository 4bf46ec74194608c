//! A program that a supervisor has started.
use std::any::Any;
use std::error::Error as StdError;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::actor::Actor;
use crate::error::{check, Code, Error, Result};
use crate::handle::Owned;
use crate::node::{check_library, Node};
use crate::sys;

/// When a child counts as started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// When it has taken its place.
    AtOnce,
    /// When it calls [`Actor::ready`], after what takes its time.
    Later,
}

/// True if a supervisor of a tree has started this process, and its place is not taken yet.
pub fn is_child() -> bool {
    unsafe { sys::coppice_is_child() == 1 }
}

/// The main function of a program that a supervisor starts: takes its place in the tree, runs `body` and returns the process's exit
/// code. An error or a panic of the body ends the actor in failure, with its words as the reason; that the actor is asked to end
/// ([`Code::Stopping`]) is none. `NotFound`: nobody started this process as a child.
///
/// ```no_run
/// # fn echo(_: &coppice::Actor) -> coppice::Result<()> { Ok(()) }
/// fn main() -> coppice::Result<std::process::ExitCode> {
///     coppice::run_as_child(echo)
/// }
/// ```
pub fn run_as_child<E: Into<Box<dyn StdError>>>(
    body: impl FnOnce(&Actor) -> std::result::Result<(), E>,
) -> Result<ExitCode> {
    run_as_child_with(Announce::AtOnce, body)
}

/// As [`run_as_child`], for a child that says itself when it has started.
pub fn run_as_child_with<E: Into<Box<dyn StdError>>>(
    announce: Announce,
    body: impl FnOnce(&Actor) -> std::result::Result<(), E>,
) -> Result<ExitCode> {
    check_library()?;
    let (mut node, mut actor) = (0, 0);
    let at_once = (announce == Announce::AtOnce).into();
    check(unsafe { sys::coppice_open_child(at_once, &mut node, &mut actor) })?;
    let node = Node::of(Owned::new(node));
    let actor = Actor::of(Owned::new(actor))?;
    if let Some(reason) = reason_of(&actor, body) {
        // It may be ending already; then nobody asks for the reason.
        let _ = actor.give_up(&reason);
    }
    actor.close();
    node.close();
    let code = unsafe { sys::coppice_exit_code() };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Runs the body; in what words it failed, if it did.
fn reason_of<E: Into<Box<dyn StdError>>>(
    actor: &Actor,
    body: impl FnOnce(&Actor) -> std::result::Result<(), E>,
) -> Option<String> {
    // The actor has no state of Rust's that a panic could leave half done.
    match panic::catch_unwind(AssertUnwindSafe(|| body(actor).map_err(Into::into))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => match error.downcast_ref::<Error>() {
            Some(error) if error.code() == Code::Stopping => None,
            _ => Some(error.to_string()),
        },
        Err(payload) => Some(text_of(payload.as_ref())),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else if let Some(text) = payload.downcast_ref::<&str>() {
        text.to_string()
    } else {
        "a panic without words".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_fails_by_an_error_or_a_panic_and_its_words_are_the_reason() {
        let node = Node::options().log_level(crate::Level::Off).open().unwrap();
        let actor = node.actor("till").unwrap();
        type Outcome = std::result::Result<(), Box<dyn StdError>>;
        let reason = |body: fn() -> Outcome| reason_of(&actor, |_| body());
        assert_eq!(reason(|| Ok(())), None);
        assert_eq!(reason(|| Err("no flour".into())).as_deref(), Some("no flour"));
        assert_eq!(reason(|| panic!("no flour")).as_deref(), Some("no flour"));
        assert_eq!(reason(|| panic!("no {}", "flour")).as_deref(), Some("no flour"));
        assert_eq!(reason(|| panic::panic_any(7)).as_deref(), Some("a panic without words"));
        assert_eq!(reason(|| Err(Error::new(Code::Stopping, "it ends").into())), None);
        assert_eq!(reason(|| Err(Error::new(Code::Down, "gone").into())).as_deref(), Some("gone"));
    }
}
