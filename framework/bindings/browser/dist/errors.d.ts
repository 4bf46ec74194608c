// Types of src/errors.ts, made by npm run build.
declare const names: readonly ["ok", "timeout", "down", "mailbox_full", "unreachable", "denied", "no_handler", "no_reply", "deadlock", "cancelled", "not_found", "name_taken", "bad_name", "wrong_protocol", "start_failed", "limit_reached", "priority_refused", "stopping", "failed", "invalid_argument", "io", "closed", "node_lost", "outcome_unknown", "name_refused", "wrong_secret", "wrong_version", "not_portable", "bad_message", "too_large"];
/** The name of a code, as docs/errors.md has it. */
export type CodeName = (typeof names)[number];
/** The number of a code. */
export declare function codeOf(name: CodeName): number;
/** `code` is a number of the one table, `codeName` its name there. */
export declare class CoppiceError extends Error {
    readonly code: number;
    readonly codeName: CodeName;
    constructor(codeName: CodeName, text?: string);
}
/** The time limit passed. */
export declare class Timeout extends CoppiceError {
}
/** The actor has ended, or never existed. */
export declare class Down extends CoppiceError {
}
/** The receiver's mailbox, or what waits here for the host, is at its bound. */
export declare class MailboxFull extends CoppiceError {
}
/** The host, or the actor's node, is not there. */
export declare class Unreachable extends CoppiceError {
}
/** The host's options do not let a page do that. */
export declare class Denied extends CoppiceError {
}
/** The receiver takes no such message. */
export declare class NoHandler extends CoppiceError {
}
/** The receiver has dropped the request. */
export declare class NoReply extends CoppiceError {
}
/** Nothing has that name. */
export declare class NotFound extends CoppiceError {
}
/** A living actor has that name. */
export declare class NameTaken extends CoppiceError {
}
/** A limit of the host's options. */
export declare class LimitReached extends CoppiceError {
}
/** The actor or its node is asked to end. */
export declare class Stopping extends CoppiceError {
}
/** The other side answered with an error of its own: its words. */
export declare class Failed extends CoppiceError {
}
/** A value out of its documented range. */
export declare class InvalidArgument extends CoppiceError {
}
/** The peer was closed. */
export declare class Closed extends CoppiceError {
}
/** The actor's node has ended, or was out of reach for too long. */
export declare class NodeLost extends CoppiceError {
}
/** It may have been handled, or not: who could tell is gone. */
export declare class OutcomeUnknown extends CoppiceError {
}
/** Bytes that do not hold what they should. */
export declare class BadMessage extends CoppiceError {
}
/** A value is larger, or nested deeper, than the limit. */
export declare class TooLarge extends CoppiceError {
}
/** The host does not know this session (any more): it was away for too long, or the host was started anew. */
export declare class SessionUnknown extends CoppiceError {
}
/** The error of a number of the table; one that this release does not know is `failed`. */
export declare function errorOf(code: number | CodeName, text?: string): CoppiceError;
/** How an actor has ended, as docs/semantics.md names it. */
export declare function endOf(kind: number): string;
export {};
