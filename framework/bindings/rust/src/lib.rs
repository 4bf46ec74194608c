//! Coppice for Rust: actors of a Coppice tree, by its C library.
//!
//! ```no_run
//! # fn main() -> coppice::Result<()> {
//! use coppice::{Node, Value};
//! use std::time::Duration;
//!
//! let node = Node::join("app")?;
//! let me = node.actor("till")?;
//! let shop = me.find("/app/shop")?;
//! me.send(&shop, "hello")?;
//! println!("{:?}", me.ask(&shop, Value::map([("price of", "tea")]), Duration::from_secs(5))?);
//! for mail in &me {
//!     // until the actor is asked to end
//!     if mail.is_request() {
//!         mail.reply(mail.value()?)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Value`] is what is sent and received. An [`Error`] has its [`Code`] of the one table. A program that a supervisor starts is
//! one line: [`run_as_child`].
//!
//! All types here are [`Send`] and [`Sync`]: they are numbers that the library checks on each call, and any call may be made from
//! any thread. What blocks, blocks its thread alone. What is closed while another thread is in a call with it stays good for that
//! call; later ones get [`Code::Closed`].
//!
//! After fork() the library refuses to work: each call gets [`Code::InvalidArgument`].
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

mod actor;
mod child;
mod error;
mod handle;
mod mail;
mod node;
mod sys;
mod value;

pub use actor::{Actor, Incoming, Level};
pub use child::{is_child, run_as_child, run_as_child_with, Announce};
pub use error::{Code, Error, Result};
pub use handle::open_handles;
pub use mail::{Mail, MailKind, Peeked};
pub use node::{ActorOptions, Node, NodeOptions};
pub use value::{type_id, Record, Ref, Tagged, Value};
