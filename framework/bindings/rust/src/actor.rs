//! Actors of this process.
use std::fmt;
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::io::RawFd;
use std::ptr;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{check, Result};
use crate::handle::{got, made, milliseconds, name_argument, Owned};
use crate::mail::{Mail, Peeked};
use crate::sys;
use crate::value::{Ref, Value};

/// How important a record of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each step.
    Trace,
    /// For who looks for a mistake.
    Debug,
    /// What a reader of the log wants to know.
    Info,
    /// What should not be, and was dealt with.
    Warn,
    /// What went wrong.
    Error,
    /// Nothing is logged; of a node, not of a record.
    Off,
}

impl Level {
    pub(crate) fn number(self) -> c_int {
        match self {
            Level::Trace => 1,
            Level::Debug => 2,
            Level::Info => 3,
            Level::Warn => 4,
            Level::Error => 5,
            Level::Off => 6,
        }
    }
}

/// A mailbox of this process, with a name in the tree. Iterated, it gives its mail until it is asked to end.
///
/// Any thread; one at a time receives. A clone is the same actor, for another thread; it ends when the last one is dropped, or when
/// one of them is closed: its name is free then, and who waits for its mail gets `Stopping`.
#[derive(Clone)]
pub struct Actor {
    inner: Arc<Inner>,
}

// In this order they are dropped: what was only looked at goes after the mailbox.
struct Inner {
    handle: Owned,
    path: String,
    peeked: Mutex<Vec<Owned>>,
}

impl Actor {
    pub(crate) fn of(handle: Owned) -> Result<Actor> {
        let (mut text, mut size) = (ptr::null(), 0);
        check(unsafe { sys::coppice_path(handle.get(), &mut text, &mut size) })?;
        // SAFETY: it lives as long as the handle, which nobody else has yet.
        let path = unsafe { bytes_at(text as *const c_void, size) };
        let path = String::from_utf8_lossy(path).into_owned();
        Ok(Actor { inner: Arc::new(Inner { handle, path, peeked: Mutex::default() }) })
    }

    fn handle(&self) -> u64 {
        self.inner.handle.get()
    }

    /// "/app/shop".
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// A ref to itself.
    pub fn me(&self) -> Result<Ref> {
        made(|out| unsafe { sys::coppice_self(self.handle(), out) }).map(Ref::of)
    }

    // ---- others

    /// The actor of that path, waited for for up to 5 s if it is on another node. `NotFound`: that node has no such actor.
    /// `Unreachable`: no link leads to that node.
    pub fn find(&self, path: &str) -> Result<Ref> {
        let path = name_argument(path)?;
        made(|out| unsafe { sys::coppice_find(self.handle(), path.as_ptr(), out) }).map(Ref::of)
    }

    /// Returns when it is on its way. `MailboxFull`: it is not, as the receiver has no room. `Stopping`, `Down`, `Unreachable`,
    /// `NodeLost`: it is not, as far as can be told here.
    pub fn send(&self, to: &Ref, value: impl Into<Value>) -> Result<()> {
        let (me, to) = (self.handle(), to.handle());
        // What is simple needs no handle of its own.
        check(match &value.into() {
            Value::Nothing => unsafe { sys::coppice_send_nothing(me, to) },
            Value::Bool(b) => unsafe { sys::coppice_send_bool(me, to, (*b).into()) },
            Value::Int(n) => unsafe { sys::coppice_send_int64(me, to, *n) },
            Value::Uint(n) => unsafe { sys::coppice_send_uint64(me, to, *n) },
            Value::Real(x) => unsafe { sys::coppice_send_double(me, to, *x) },
            Value::Text(text) => unsafe {
                sys::coppice_send_text(me, to, text.as_ptr() as *const c_char, text.len())
            },
            Value::Bytes(bytes) => unsafe {
                sys::coppice_send_bytes(me, to, bytes.as_ptr() as *const c_void, bytes.len())
            },
            Value::Tagged(tagged) => unsafe {
                let content = &tagged.content;
                sys::coppice_send_tagged(me, to, tagged.tag, content.as_ptr() as *const c_void, content.len())
            },
            built => {
                let built = built.build()?;
                unsafe { sys::coppice_send(me, to, built.get(), 0) }
            }
        })
    }

    /// Waits for room in the receiver's mailbox. `Timeout`: there was none in time.
    pub fn send_within(&self, to: &Ref, value: impl Into<Value>, limit: Duration) -> Result<()> {
        let value = value.into().build()?;
        check(unsafe { sys::coppice_send(self.handle(), to.handle(), value.get(), milliseconds(limit)) })
    }

    /// Sends a request and waits for its answer. `Failed`: the other side answered with an error, its words are the text. `Timeout`
    /// at the limit; `NoReply`, `NoHandler`, `Down`, `NodeLost` at once.
    pub fn ask(&self, to: &Ref, value: impl Into<Value>, limit: Duration) -> Result<Value> {
        let value = value.into().build()?;
        let (me, to) = (self.handle(), to.handle());
        Value::read(made(|out| unsafe { sys::coppice_ask(me, to, value.get(), milliseconds(limit), out) })?)
    }

    /// The same without waiting: the answer comes as mail with the number that this returns, see [`Mail::answer`].
    pub fn ask_later(&self, to: &Ref, value: impl Into<Value>, limit: Duration) -> Result<u64> {
        let value = value.into().build()?;
        let (me, to) = (self.handle(), to.handle());
        got(|out| unsafe { sys::coppice_ask_later(me, to, value.get(), milliseconds(limit), out) })
    }

    /// Asks an actor to end when it has handled its mail.
    pub fn stop(&self, who: &Ref) -> Result<()> {
        check(unsafe { sys::coppice_stop(self.handle(), who.handle()) })
    }

    /// Asks it to end now, and kills it if that takes longer.
    pub fn shutdown(&self, who: &Ref, limit: Duration) -> Result<()> {
        check(unsafe { sys::coppice_shutdown(self.handle(), who.handle(), milliseconds(limit)) })
    }

    /// Ends it at once.
    pub fn kill(&self, who: &Ref) -> Result<()> {
        check(unsafe { sys::coppice_kill(self.handle(), who.handle()) })
    }

    /// One mail that [`Mail::has_ended`], with this number, comes when its present life ends; at once if it has none.
    pub fn monitor(&self, who: &Ref) -> Result<u64> {
        got(|out| unsafe { sys::coppice_monitor(self.handle(), who.handle(), out) })
    }

    /// It does not come any more.
    pub fn forget_monitor(&self, number: u64) -> Result<()> {
        check(unsafe { sys::coppice_forget_monitor(self.handle(), number) })
    }

    // ---- mail

    /// The next mail, waited for. `Stopping`: the actor is asked to end, and there is no mail left.
    pub fn receive(&self) -> Result<Mail> {
        self.receive_within(Duration::MAX)
    }

    /// The next mail. `Timeout`: there is none in time; a limit of zero does not wait.
    pub fn receive_within(&self, limit: Duration) -> Result<Mail> {
        self.taken(made(|out| unsafe { sys::coppice_receive(self.handle(), milliseconds(limit), out) })?)
    }

    /// The next answer to [`Actor::ask_later`], also from behind other mail, which stays. As [`Actor::receive_within`].
    pub fn receive_answer(&self, limit: Duration) -> Result<Mail> {
        self.taken(made(|out| unsafe {
            sys::coppice_receive_answer(self.handle(), milliseconds(limit), out)
        })?)
    }

    /// What would be received, and stays where it is. As [`Actor::receive_within`].
    pub fn peek(&self, limit: Duration) -> Result<Peeked<'_>> {
        let handle = got(|out| unsafe { sys::coppice_peek(self.handle(), milliseconds(limit), out) })?;
        let mut peeked = self.peeked();
        if !peeked.iter().any(|one| one.get() == handle) {
            peeked.push(Owned::new(handle));
        }
        Peeked::of(handle)
    }

    /// The handle of mail that was looked at before is that of the mail; from now on it is the mail's alone.
    fn taken(&self, handle: Owned) -> Result<Mail> {
        let mut peeked = self.peeked();
        if let Some(at) = peeked.iter().position(|one| one.get() == handle.get()) {
            peeked.swap_remove(at).give_away();
        }
        drop(peeked);
        Mail::of(handle)
    }

    fn peeked(&self) -> MutexGuard<'_, Vec<Owned>> {
        self.inner.peeked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Readable, for poll(2) and event loops, while there is mail or the actor is asked to end. Not to be read or closed.
    pub fn descriptor(&self) -> Result<RawFd> {
        got(|out| unsafe { sys::coppice_descriptor(self.handle(), out) })
    }

    // ---- groups

    /// Gets what is published to the group, but for what it publishes itself.
    pub fn join(&self, group: &str) -> Result<()> {
        let group = name_argument(group)?;
        check(unsafe { sys::coppice_join(self.handle(), group.as_ptr()) })
    }

    /// Gets it no more.
    pub fn leave(&self, group: &str) -> Result<()> {
        let group = name_argument(group)?;
        check(unsafe { sys::coppice_leave(self.handle(), group.as_ptr()) })
    }

    /// To all members but this one; how many took it.
    pub fn publish(&self, group: &str, value: impl Into<Value>) -> Result<usize> {
        let group = name_argument(group)?;
        let value = value.into().build()?;
        got(|out| unsafe { sys::coppice_publish(self.handle(), group.as_ptr(), value.get(), out) })
    }

    // ---- itself

    /// Of a child that announces it ([`crate::Announce::Later`]): it counts as started from now on.
    pub fn ready(&self) -> Result<()> {
        check(unsafe { sys::coppice_ready(self.handle()) })
    }

    /// It ends in failure, with that reason, when it is closed.
    pub fn give_up(&self, reason: &str) -> Result<()> {
        check(unsafe { sys::coppice_give_up(self.handle(), reason.as_ptr() as *const c_char, reason.len()) })
    }

    /// A record in the tree's log, with this actor's path.
    pub fn log(&self, level: Level, text: &str) -> Result<()> {
        let at = text.as_ptr() as *const c_char;
        check(unsafe { sys::coppice_log(self.handle(), level.number(), at, text.len()) })
    }

    /// It ends, for all clones.
    pub fn close(&self) {
        self.inner.handle.close();
        self.peeked().clear();
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({})", self.path())
    }
}

/// The mail of an actor, until it is asked to end or is closed. `for mail in &actor`.
#[derive(Debug)]
pub struct Incoming<'a> {
    actor: &'a Actor,
}

impl Iterator for Incoming<'_> {
    type Item = Mail;

    fn next(&mut self) -> Option<Mail> {
        self.actor.receive().ok()
    }
}

impl<'a> IntoIterator for &'a Actor {
    type Item = Mail;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        Incoming { actor: self }
    }
}

/// A text or bytes of the library; of none the pointer may be null.
///
/// # Safety
/// There are `size` bytes at `at`, for as long as the result is used.
pub(crate) unsafe fn bytes_at<'a>(at: *const c_void, size: usize) -> &'a [u8] {
    if size == 0 {
        return &[];
    }
    // SAFETY: as the caller says; it is not null, as there are bytes.
    unsafe { slice::from_raw_parts(at as *const u8, size) }
}
