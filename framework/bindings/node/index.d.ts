// Types of Coppice for Node.js; see index.js and README.md. Times are in milliseconds; Infinity: no limit.

/** What can be sent. `undefined` arrives as null; a Real as a number. */
export type Sendable =
    | null
    | undefined
    | boolean
    | number
    | bigint
    | string
    | Uint8Array
    | Ref
    | Tagged
    | Record
    | Real
    | readonly Sendable[]
    | ReadonlyMap<Sendable, Sendable>
    | {readonly [key: string]: Sendable};

/** What arrives: an integer beyond 2^53 is a bigint, a map whose keys are all strings an object without a prototype. */
export type Value =
    | null
    | boolean
    | number
    | bigint
    | string
    | Uint8Array
    | Ref
    | Tagged
    | Record
    | Value[]
    | Map<Value, Value>
    | {[key: string]: Value};

export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** Of a node. */
export interface NodeOptions {
    /** Its name; none: one that nobody else has. */
    name?: string;
    /** Endpoints where others can join below it. */
    listen?: string | readonly string[];
    /** Both sides prove that they know what is in it, or in the variable of the environment. */
    secretFile?: string;
    secretEnv?: string;
    /** How long the tree may be out of reach before it counts as lost; 0: 60,000. */
    hold?: number;
    /** Time limit for joining; 0: 5,000, and no less. */
    joinWithin?: number;
    /** Of what is logged to standard error. */
    logLevel?: Level | "off";
}
/** The tree of that name on this machine, or one at an endpoint, "tcp://host:4711". */
export type JoinOptions = NodeOptions & ({tree: string; parent?: undefined} | {parent: string; tree?: undefined});

/** This process's part in a tree. It keeps the process alive until it is closed. */
export class Node {
    private constructor();
    /** Rejects with NotFound, Unreachable, NameTaken and others. */
    static join(options: JoinOptions): Promise<Node>;
    /** Begins a tree of its own; one with a name can be joined by it. */
    static begin(options?: NodeOptions): Promise<Node>;
    /** An actor of this process. `mailbox`: messages that may wait in it; 0: 65,536. Throws NameTaken. */
    actor(name?: string, options?: {mailbox?: number}): Actor;
    /** Leaves the tree, and its actors end. What waits for mail or answers is rejected with Stopping. */
    close(): Promise<void>;
    /** As close(), not waited for. */
    [Symbol.dispose](): void;
    [Symbol.asyncDispose](): Promise<void>;
}

/** A mailbox of this process, with a name in the tree. Its functions throw, or reject with, a CoppiceError. */
export class Actor implements AsyncIterable<Mail> {
    private constructor();
    /** "/app/shop". */
    readonly path: string;
    /** A new ref to it. */
    readonly ref: Ref;
    /** NotFound: that node has no such actor. Unreachable: no link leads to that node. */
    find(path: string): Promise<Ref>;
    /** Returns when it is on its way; where the receiver then has no room, it is a dead letter. */
    send(to: Ref, value?: Sendable): void;
    /** Resolves when it is in the receiver's mailbox. Timeout: there was no room. */
    sendWhenRoom(to: Ref, value: Sendable, within?: number): Promise<void>;
    /** The answer to a request; within 5,000 unless told. Timeout; Failed, NoReply and others at once. */
    ask(to: Ref, value?: Sendable, options?: {within?: number}): Promise<Value>;
    /** Asks an actor to end when it has handled its mail. */
    stop(who: Ref): void;
    /** Asks it to end now, and kills it if that takes longer; 5,000 unless told. */
    shutdown(who: Ref, within?: number): void;
    kill(who: Ref): void;
    /** Mail with hasEnded and this number comes when its present life ends; at once if it has none. */
    monitor(who: Ref): number | bigint;
    demonitor(number: number | bigint): void;
    /** The next mail. Timeout: there is none in time. Stopping: the actor is asked to end. */
    receive(options?: {within?: number}): Promise<Mail>;
    /** Its mail, until it is asked to end. */
    [Symbol.asyncIterator](): AsyncIterableIterator<Mail>;
    join(group: string): void;
    leave(group: string): void;
    /** To all members but this one; how many took it. */
    publish(group: string, value?: Sendable): number;
    /** Of a child that announces it: it counts as started from now on. */
    ready(): void;
    /** It ends in failure, with that reason, when it is closed. */
    giveUp(reason: string): void;
    /** A record in the tree's log, with this actor's path. */
    log(text: string, level?: Level): void;
    /** It ends, and its name is free. What waits for mail or answers is rejected with Stopping. */
    close(): void;
    [Symbol.dispose](): void;
}

/** What an actor has received. A request that is closed, or forgotten, without a reply is answered with `no_reply`. */
export class Mail {
    private constructor();
    /** What was sent. Of one that tells an end: its reason, in words. TypeError: a text in it is no UTF-8. */
    readonly value: Value;
    /** Its sender waits for reply() or fail(). */
    readonly isRequest: boolean;
    /** A monitored actor has ended. */
    readonly hasEnded: boolean;
    /** What monitor() gave, of one that tells an end. */
    readonly number: number | bigint;
    /** null: nobody says so. */
    readonly sender: Ref | null;
    /** Answers a request, once, now or later. Closed: it has been answered. */
    reply(value?: Sendable): void;
    /** Its sender gets Failed, with this text. */
    fail(text: string): void;
    close(): void;
    [Symbol.dispose](): void;
}

/** Leads to an actor, wherever it runs, also after it was restarted. */
export class Ref {
    private constructor();
    equals(other: unknown): boolean;
    toString(): string;
    close(): void;
    [Symbol.dispose](): void;
}

/** Bytes of an encoding of your own, and a number of up to 64 bits that says which. */
export class Tagged {
    constructor(tag: number | bigint, content: Uint8Array);
    tag: number | bigint;
    content: Uint8Array;
}

/** Fields in order. `type`: the C++ name of a message type, or its number; "": of none. */
export class Record<Fields extends readonly Sendable[] = Value[]> {
    constructor(fields?: Fields, type?: string | number | bigint);
    fields: Fields;
    type: string | number | bigint;
}

/** Sends a number as a real one, also a whole one. */
export class Real {
    constructor(value: number);
    value: number;
}

/** The number of a message type, by its C++ name. */
export function typeId(name: string): number | bigint;
/** True if a supervisor of a tree has started this process, and its place is not taken yet. */
export function isChild(): boolean;
/**
 * The main function of a program that a supervisor starts: takes its place, runs `main(actor)`, ends, and resolves to the process's
 * exit code, which it sets. With `announce` false the child counts as started when it calls actor.ready(). An exception ends the actor
 * in failure, with its words as the reason, and is what this rejects with.
 */
export function runAsChild(main: (me: Actor) => Promise<void> | void, options?: {announce?: boolean}): Promise<number>;
/** Handles of the library that are open in this process; for tests of leaks. */
export function openHandles(): number;

/** What a call came back with: a number of the one table (docs/errors.md), and its name there. */
export class CoppiceError extends Error {
    readonly code: number;
    readonly codeName: string;
}
/** The time limit passed. */
export class Timeout extends CoppiceError {}
/** The actor has ended, or never existed. */
export class Down extends CoppiceError {}
/** The receiver's mailbox is at its bound. */
export class MailboxFull extends CoppiceError {}
/** No link leads to the actor's node. */
export class Unreachable extends CoppiceError {}
/** The receiver takes no such message. */
export class NoHandler extends CoppiceError {}
/** The receiver has dropped the request. */
export class NoReply extends CoppiceError {}
/** Nothing has that name. */
export class NotFound extends CoppiceError {}
/** A living actor, or node, has that name. */
export class NameTaken extends CoppiceError {}
/** The actor or its node is asked to end. */
export class Stopping extends CoppiceError {}
/** The other side answered with an error of its own: its words. */
export class Failed extends CoppiceError {}
/** A value out of its documented range. */
export class InvalidArgument extends CoppiceError {}
/** The handle was closed. */
export class Closed extends CoppiceError {}
/** The actor's node has ended, or was out of reach for too long. */
export class NodeLost extends CoppiceError {}
/** A message is larger, or nested deeper, than the limit. */
export class TooLarge extends CoppiceError {}
