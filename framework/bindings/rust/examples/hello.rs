//! Says hello to an actor of a tree of this machine, and asks it something: hello TREE PATH.
use std::time::Duration;

// [hello]
use coppice::{Node, Value};

fn hello(tree: &str, path: &str) -> coppice::Result<()> {
    let node = Node::join(tree)?;
    let me = node.actor("hello")?;
    let shop = me.find(path)?;
    me.send(&shop, "hello")?;
    println!("{:?}", me.ask(&shop, Value::map([("price of", "tea")]), Duration::from_secs(5))?);
    Ok(())
}
// [/hello]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, tree, path] => Ok(hello(tree, path)?),
        _ => Err("hello TREE PATH".into()),
    }
}
