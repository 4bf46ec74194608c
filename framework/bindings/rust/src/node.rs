//! Nodes: a process's part in a tree.
use std::ffi::CString;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::actor::{Actor, Level};
use crate::error::{check, Result};
use crate::handle::{made, milliseconds, name_argument, pointer_to, Owned};
use crate::sys;

/// The library that was found is one that this crate can call.
pub(crate) fn check_library() -> Result<()> {
    check(unsafe { sys::coppice_check_version(sys::HEADER_MAJOR, sys::HEADER_MINOR) })
}

/// How a node is opened. What is not set has its default.
///
/// ```no_run
/// # fn main() -> coppice::Result<()> {
/// let node = coppice::Node::options().parent("tcp://10.0.0.7:4711").secret_file("secret.txt").open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    name: Option<String>,
    tree: Option<String>,
    parent: Option<String>,
    listen: Vec<String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    hold: Duration,
    join_within: Duration,
    log_level: Option<Level>,
}

impl NodeOptions {
    /// Its name; without: one that nobody else has.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Joins the tree of that name on this machine, of this user.
    pub fn tree(mut self, tree: impl Into<String>) -> Self {
        self.tree = Some(tree.into());
        self
    }

    /// Or: joins at this endpoint, "tcp://host:4711".
    pub fn parent(mut self, endpoint: impl Into<String>) -> Self {
        self.parent = Some(endpoint.into());
        self
    }

    /// An endpoint where others can join below it; one more each time.
    pub fn listen(mut self, endpoint: impl Into<String>) -> Self {
        self.listen.push(endpoint.into());
        self
    }

    /// Both sides prove that they know what is in this file.
    pub fn secret_file(mut self, file: impl AsRef<Path>) -> Self {
        self.secret_file = Some(file.as_ref().to_owned());
        self
    }

    /// The same, from a variable of the environment.
    pub fn secret_env(mut self, variable: impl Into<String>) -> Self {
        self.secret_env = Some(variable.into());
        self
    }

    /// How long the tree may be out of reach before it counts as lost; a minute unless told.
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// Time limit for joining; 5 seconds unless told, and no less.
    pub fn join_within(mut self, limit: Duration) -> Self {
        self.join_within = limit;
        self
    }

    /// Of what is logged to standard error; [`Level::Info`] unless told.
    pub fn log_level(mut self, level: Level) -> Self {
        self.log_level = Some(level);
        self
    }

    /// Joins the tree, or begins one if neither tree nor parent is given. `NotFound`: no such tree runs. `Unreachable`: nobody is
    /// there. `NameTaken`, `NameRefused`, `WrongSecret`, `WrongVersion`: as they say.
    pub fn open(&self) -> Result<Node> {
        check_library()?;
        let text = |text: &Option<String>| text.as_deref().map(name_argument).transpose();
        let (name, tree, parent) = (text(&self.name)?, text(&self.tree)?, text(&self.parent)?);
        let listen: Option<CString> =
            if self.listen.is_empty() { None } else { Some(name_argument(self.listen.join(","))?) };
        let secret_file =
            self.secret_file.as_ref().map(|file| name_argument(file.as_os_str().as_bytes())).transpose()?;
        let secret_env = text(&self.secret_env)?;
        let options = sys::NodeOptions {
            size: mem::size_of::<sys::NodeOptions>(),
            name: pointer_to(&name),
            tree: pointer_to(&tree),
            parent: pointer_to(&parent),
            listen: pointer_to(&listen),
            secret_file: pointer_to(&secret_file),
            secret_env: pointer_to(&secret_env),
            hold_ms: milliseconds(self.hold),
            join_ms: milliseconds(self.join_within),
            log_level: self.log_level.map_or(0, Level::number),
        };
        Ok(Node { handle: made(|out| unsafe { sys::coppice_open_node(&options, out) })? })
    }
}

/// How an actor is opened. What is not set has its default.
#[derive(Clone, Debug, Default)]
pub struct ActorOptions {
    name: Option<String>,
    mailbox: u32,
    stops_node: bool,
}

impl ActorOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its name; without: one that nobody else has.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Messages that may wait in its mailbox; 65,536 unless told.
    pub fn mailbox(mut self, messages: u32) -> Self {
        self.mailbox = messages;
        self
    }

    /// When it ends, so does the node.
    pub fn stops_node(mut self, stops: bool) -> Self {
        self.stops_node = stops;
        self
    }
}

/// This process's part in a tree, with threads of its own. Dropped or closed, it leaves the tree, and its actors end.
#[derive(Debug)]
pub struct Node {
    handle: Owned,
}

impl Node {
    /// Joins the tree of that name on this machine.
    pub fn join(tree: &str) -> Result<Node> {
        Node::options().tree(tree).open()
    }

    /// Begins a tree of that name, which others on this machine can join by it.
    pub fn begin(name: &str) -> Result<Node> {
        Node::options().name(name).open()
    }

    /// For all that can be told.
    pub fn options() -> NodeOptions {
        NodeOptions::default()
    }

    pub(crate) fn of(handle: Owned) -> Node {
        Node { handle }
    }

    /// An actor of this process; its path is /NODE/NAME. `NameTaken`, `BadName`.
    pub fn actor(&self, name: &str) -> Result<Actor> {
        self.actor_with(&ActorOptions::new().name(name))
    }

    /// An actor of this process, as the options say.
    pub fn actor_with(&self, options: &ActorOptions) -> Result<Actor> {
        let name = options.name.as_deref().map(name_argument).transpose()?;
        let options = sys::ActorOptions {
            size: mem::size_of::<sys::ActorOptions>(),
            name: pointer_to(&name),
            mailbox: options.mailbox,
            stops_node: options.stops_node.into(),
        };
        Actor::of(made(|out| unsafe { sys::coppice_open_actor(self.handle.get(), &options, out) })?)
    }

    /// Leaves the tree, and waits until its actors have ended. What waits for mail or answers gets `Stopping`.
    pub fn close(&self) {
        self.handle.close();
    }
}
