// What a call came back with: the numbers of docs/errors.md, and a class for each that programs handle.
const names = [
    "ok", "timeout", "down", "mailbox_full", "unreachable", "denied", "no_handler", "no_reply", "deadlock", "cancelled",
    "not_found", "name_taken", "bad_name", "wrong_protocol", "start_failed", "limit_reached", "priority_refused",
    "stopping", "failed", "invalid_argument", "io", "closed", "node_lost", "outcome_unknown", "name_refused",
    "wrong_secret", "wrong_version", "not_portable", "bad_message", "too_large",
];
/** The number of a code. */
export function codeOf(name) {
    return names.indexOf(name);
}
/** `code` is a number of the one table, `codeName` its name there. */
export class CoppiceError extends Error {
    code;
    codeName;
    constructor(codeName, text = "") {
        super(text ? `${codeName}: ${text}` : codeName);
        this.name = new.target.name;
        this.code = codeOf(codeName);
        this.codeName = codeName;
    }
}
/** The time limit passed. */
export class Timeout extends CoppiceError {
}
/** The actor has ended, or never existed. */
export class Down extends CoppiceError {
}
/** The receiver's mailbox, or what waits here for the host, is at its bound. */
export class MailboxFull extends CoppiceError {
}
/** The host, or the actor's node, is not there. */
export class Unreachable extends CoppiceError {
}
/** The host's options do not let a page do that. */
export class Denied extends CoppiceError {
}
/** The receiver takes no such message. */
export class NoHandler extends CoppiceError {
}
/** The receiver has dropped the request. */
export class NoReply extends CoppiceError {
}
/** Nothing has that name. */
export class NotFound extends CoppiceError {
}
/** A living actor has that name. */
export class NameTaken extends CoppiceError {
}
/** A limit of the host's options. */
export class LimitReached extends CoppiceError {
}
/** The actor or its node is asked to end. */
export class Stopping extends CoppiceError {
}
/** The other side answered with an error of its own: its words. */
export class Failed extends CoppiceError {
}
/** A value out of its documented range. */
export class InvalidArgument extends CoppiceError {
}
/** The peer was closed. */
export class Closed extends CoppiceError {
}
/** The actor's node has ended, or was out of reach for too long. */
export class NodeLost extends CoppiceError {
}
/** It may have been handled, or not: who could tell is gone. */
export class OutcomeUnknown extends CoppiceError {
}
/** Bytes that do not hold what they should. */
export class BadMessage extends CoppiceError {
}
/** A value is larger, or nested deeper, than the limit. */
export class TooLarge extends CoppiceError {
}
/** The host does not know this session (any more): it was away for too long, or the host was started anew. */
export class SessionUnknown extends CoppiceError {
}
const classes = {
    timeout: Timeout, down: Down, mailbox_full: MailboxFull, unreachable: Unreachable, denied: Denied,
    no_handler: NoHandler, no_reply: NoReply, not_found: NotFound, name_taken: NameTaken, limit_reached: LimitReached,
    stopping: Stopping, failed: Failed, invalid_argument: InvalidArgument, closed: Closed, node_lost: NodeLost,
    outcome_unknown: OutcomeUnknown, bad_message: BadMessage, too_large: TooLarge,
};
/** The error of a number of the table; one that this release does not know is `failed`. */
export function errorOf(code, text = "") {
    const name = typeof code === "string" ? code : (names[code] ?? "failed");
    return new (classes[name] ?? CoppiceError)(name, text);
}
const ends = [
    "normal", "stopped", "killed", "error", "failed", "linked", "start_failed", "intensity", "abandoned", "no_actor",
    "significant", "node_lost", "limit_reached", "process_ended", "unresponsive", "not_started",
];
/** How an actor has ended, as docs/semantics.md names it. */
export function endOf(kind) {
    return ends[kind] ?? "error";
}
