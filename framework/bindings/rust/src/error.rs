//! What a call came back with: the codes of the one table (docs/errors.md), with the reason in words.
use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_int;

use crate::sys;

/// What a call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! codes {
    ($($(#[$what:meta])* $name:ident = $number:literal,)*) => {
        /// A code of the one table, docs/errors.md, which says what to do about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$what])* $name,)*
            /// One that a newer library has.
            Other(i32),
        }

        impl Code {
            pub(crate) fn of(number: i32) -> Code {
                match number {
                    $($number => Code::$name,)*
                    other => Code::Other(other),
                }
            }

            /// Its number in the table, the same in every language and on the wire.
            pub fn number(self) -> i32 {
                match self {
                    $(Code::$name => $number,)*
                    Code::Other(number) => number,
                }
            }
        }
    };
}

codes! {
    /// The time limit passed.
    Timeout = 1,
    /// The actor has ended, or never existed.
    Down = 2,
    /// The receiver's mailbox is at its bound.
    MailboxFull = 3,
    /// No link leads to the actor's node.
    Unreachable = 4,
    /// The caller lacks the right.
    Denied = 5,
    /// The receiver takes no such message.
    NoHandler = 6,
    /// The receiver has dropped the request.
    NoReply = 7,
    /// The request would close a cycle of requests.
    Deadlock = 8,
    /// The operation was cancelled by its owner's end.
    Cancelled = 9,
    /// Nothing has that name.
    NotFound = 10,
    /// A living actor, or node, has that name.
    NameTaken = 11,
    /// It can be nobody's name.
    BadName = 12,
    /// The actor does not take such messages, or the value is of another kind.
    WrongProtocol = 13,
    /// The actor ended, or was not ready in time, when it was started.
    StartFailed = 14,
    /// A limit is reached.
    LimitReached = 15,
    /// The operating system refused a thread's priority.
    PriorityRefused = 16,
    /// The actor or its node is asked to end.
    Stopping = 17,
    /// The other side answered with an error of its own: its words.
    Failed = 18,
    /// A value out of its documented range.
    InvalidArgument = 19,
    /// The operating system reported an error.
    Io = 20,
    /// The handle was closed, or the request has been answered.
    Closed = 21,
    /// The actor's node has ended, or was out of reach for too long.
    NodeLost = 22,
    /// The node was lost before it told whether it had taken the message.
    OutcomeUnknown = 23,
    /// The peer accepts no node of that name.
    NameRefused = 24,
    /// The nodes do not share a secret.
    WrongSecret = 25,
    /// The peer, or the library, is of a version that does not fit.
    WrongVersion = 26,
    /// The message holds something that cannot leave its process.
    NotPortable = 27,
    /// Bytes of a peer that do not hold what they should.
    BadMessage = 28,
    /// A message is larger, or nested deeper, than the limit.
    TooLarge = 29,
}

impl Code {
    /// Its name in the table, "mailbox_full".
    pub fn name(self) -> &'static str {
        // SAFETY: the name lives as long as the library, which is never unloaded.
        unsafe { CStr::from_ptr(sys::coppice_code_name(self.number())) }.to_str().unwrap_or("")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a call came back with: a code, and the reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    text: String,
}

impl Error {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Error {
        Error { code, text: text.into() }
    }

    /// What happened; programs match on it.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The reason in words. Of [`Code::Failed`]: those of the other side. May be empty.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { self.code.name() } else { &self.text })
    }
}

impl std::error::Error for Error {}

/// What the library returned, as a result. On the thread of the call, which has its words.
pub(crate) fn check(code: c_int) -> Result<()> {
    if code == sys::OK {
        return Ok(());
    }
    // SAFETY: the text lives until this thread's next failing call, and is copied before.
    let text = unsafe { CStr::from_ptr(sys::coppice_error_text()) }.to_string_lossy().into_owned();
    Err(Error::new(Code::of(code), text))
}
