//! A child of a supervisor that gives back whatever it is asked.
//!
//! In C++: child("echo", in_process("target/debug/examples/echo")). In a deployment file: program = "target/debug/examples/echo".
use std::process::ExitCode;

// [echo]
use coppice::{Actor, Level};

fn echo(me: &Actor) -> coppice::Result<()> {
    // Until its supervisor ends it.
    for mail in me {
        if mail.is_request() {
            mail.reply(mail.value()?)?;
        } else {
            me.log(Level::Info, &format!("got {:?}", mail.value()?))?;
        }
    }
    Ok(())
}

fn main() -> coppice::Result<ExitCode> {
    coppice::run_as_child(echo)
}
// [/echo]
