// coppice-browser: pages in browsers, and Node.js with its own WebSocket, as actors of a Coppice tree. README.md
export * from "./errors.js";
export {connect, Mail, Peer, Ref} from "./peer.js";
export type {ConnectOptions, Limit, PeerEvents, State} from "./peer.js";
export {Real, Record, Reference, typeId} from "./values.js";
export type {Sendable, Value} from "./values.js";
