// Coppice for Node.js: actors of a Coppice tree, by its C library. One thread: that of the event loop, which nothing blocks.
//
//     const node = await Node.join({tree: "app"});
//     const me = node.actor("till");
//     me.send(await me.find("/app/shop"), "hello");
//     for await (const mail of me) if (mail.isRequest) mail.reply(mail.value);    // until the actor is asked to end
//
// The library is libcoppice.so.1, or what COPPICE_LIBRARY names.
export {
    Closed,
    CoppiceError,
    Down,
    Failed,
    InvalidArgument,
    MailboxFull,
    NameTaken,
    NodeLost,
    NoHandler,
    NoReply,
    NotFound,
    Stopping,
    Timeout,
    TooLarge,
    Unreachable,
} from "./lib/abi.js";
export {Actor, isChild, Mail, Node, openHandles, runAsChild} from "./lib/actors.js";
export {Real, Record, Ref, Tagged, typeId} from "./lib/values.js";
