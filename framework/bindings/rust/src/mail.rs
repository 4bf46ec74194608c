//! What an actor receives.
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::raw::c_char;

use crate::actor::Actor;
use crate::error::{check, Code, Error, Result};
use crate::handle::{got, made, Owned};
use crate::sys;
use crate::value::{Ref, Value};

/// What a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// A message.
    Message,
    /// Its sender waits for [`Mail::reply`] or [`Mail::fail`].
    Request,
    /// To [`Actor::ask_later`]: [`Mail::number`] says to which, [`Mail::answer`] how it went.
    Answer,
    /// A monitored actor has ended: [`Mail::number`]; its reason, in words, is the value.
    Ended,
}

/// What an actor has received. A request that is dropped or closed without a reply is answered with `no_reply`.
///
/// It may be answered later, and from another thread: move it there.
pub struct Mail {
    handle: Owned,
    kind: MailKind,
}

impl Mail {
    pub(crate) fn of(handle: Owned) -> Result<Mail> {
        let kind = kind_of(handle.get())?;
        Ok(Mail { handle, kind })
    }

    /// What it is.
    pub fn kind(&self) -> MailKind {
        self.kind
    }

    /// Its sender waits for a reply.
    pub fn is_request(&self) -> bool {
        self.kind == MailKind::Request
    }

    /// A monitored actor has ended: [`Mail::number`] is what [`Actor::monitor`] gave.
    pub fn has_ended(&self) -> bool {
        self.kind == MailKind::Ended
    }

    /// What was sent; read anew by each call. Of one that tells an end: its reason, in words. `BadMessage`: a text in it is no
    /// UTF-8.
    pub fn value(&self) -> Result<Value> {
        Value::read(made(|out| unsafe { sys::coppice_mail_value(self.handle.get(), out) })?)
    }

    /// Who sent it; `None`: nobody says so.
    pub fn sender(&self) -> Result<Option<Ref>> {
        match made(|out| unsafe { sys::coppice_mail_sender(self.handle.get(), out) }) {
            Ok(handle) => Ok(Some(Ref::of(handle))),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of an answer or an end: what [`Actor::ask_later`] or [`Actor::monitor`] gave.
    pub fn number(&self) -> Result<u64> {
        got(|out| unsafe { sys::coppice_mail_number(self.handle.get(), out) })
    }

    /// Of an answer: what [`Actor::ask`] would have returned.
    pub fn answer(&self) -> Result<Value> {
        match got(|out| unsafe { sys::coppice_mail_code(self.handle.get(), out) })? {
            sys::OK => self.value(),
            code => Err(Error::new(Code::of(code), self.value()?.as_text().unwrap_or(""))),
        }
    }

    /// Answers a request, once, now or later, from any thread. `Closed`: it has been answered.
    pub fn reply(&self, value: impl Into<Value>) -> Result<()> {
        let value = value.into().build()?;
        check(unsafe { sys::coppice_reply(self.handle.get(), value.get()) })
    }

    /// Its sender gets [`Code::Failed`], with this text.
    pub fn fail(&self, text: &str) -> Result<()> {
        check(unsafe { sys::coppice_fail(self.handle.get(), text.as_ptr() as *const c_char, text.len()) })
    }

    /// Earlier than it is dropped.
    pub fn close(&self) {
        self.handle.close();
    }
}

fn kind_of(mail: u64) -> Result<MailKind> {
    Ok(match got(|out| unsafe { sys::coppice_mail_kind_of(mail, out) })? {
        sys::MESSAGE => MailKind::Message,
        sys::REQUEST => MailKind::Request,
        sys::ANSWER => MailKind::Answer,
        _ => MailKind::Ended,
    })
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Mail");
        f.field("kind", &self.kind);
        match self.value() {
            Ok(value) => f.field("value", &value).finish(),
            Err(error) => f.field("value", &error).finish(),
        }
    }
}

/// Mail that stays in the mailbox: a look at what is received next. When it has been received and closed, so has this.
pub struct Peeked<'a> {
    mail: ManuallyDrop<Mail>,
    of: PhantomData<&'a Actor>,
}

impl Peeked<'_> {
    /// The handle is that of the mail, and the actor's until it is received.
    pub(crate) fn of(handle: u64) -> Result<Self> {
        let mail = Mail { kind: kind_of(handle)?, handle: Owned::new(handle) };
        Ok(Peeked { mail: ManuallyDrop::new(mail), of: PhantomData })
    }
}

impl Deref for Peeked<'_> {
    type Target = Mail;

    fn deref(&self) -> &Mail {
        &self.mail
    }
}

impl fmt::Debug for Peeked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mail.fmt(f)
    }
}
