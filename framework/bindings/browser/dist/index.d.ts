// Types of src/index.ts, made by npm run build.
export * from "./errors.js";
export { connect, Mail, Peer, Ref } from "./peer.js";
export type { ConnectOptions, Limit, PeerEvents, State } from "./peer.js";
export { Real, Record, Reference, typeId } from "./values.js";
export type { Sendable, Value } from "./values.js";
