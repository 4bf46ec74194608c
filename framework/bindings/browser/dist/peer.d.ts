// Types of src/peer.ts, made by npm run build.
import { CoppiceError } from "./errors.js";
import { type LinkState } from "./link.js";
import { type Sendable, type Value } from "./values.js";
/** `connecting`: for the first time; `open`; `waiting`: for a connection, what is sent waits as well; `closed`: for good. */
export type State = LinkState;
/** Times are in milliseconds. */
export interface ConnectOptions {
    /** The name to have in the tree, below the host; the host's options say which are allowed. None: a number. */
    name?: string;
    /** What `peer.token` was in a page before this one: goes on with its session. SessionUnknown if that has ended. */
    token?: string;
    /** Gives up. */
    signal?: AbortSignal;
    /** How long to try for the first time; 10,000. Unreachable. */
    connectWithin?: number;
    /** Waits before the next attempt; 200, doubled up to 10,000, and made shorter by up to a half, by chance. */
    retryFirst?: number;
    retryMost?: number;
    /** Silence after which the host is asked for a sign of life, and after twice as long given up; 10,000. */
    pingAfter?: number;
    /** Bytes that may wait for the host; 4 MiB. */
    queueBytes?: number;
    /** When the host does not know the session any more, begin another one, after the event `lost`. Else the peer is closed. */
    renew?: boolean;
    /** Where there is no global one. */
    WebSocket?: typeof WebSocket;
}
export interface Limit {
    within?: number;
    signal?: AbortSignal;
}
/** Leads to an actor, also after it was restarted. Of one session. */
export declare class Ref {
    readonly path: string;
    equals(other: unknown): boolean;
    toString(): string;
}
/** What a page has received. */
export declare class Mail {
    #private;
    /** null: nobody says so. Of one that tells an end: who has ended. */
    readonly sender: Ref | null;
    /** What was sent. Of one that tells an end: its reason, in words. BadMessage: a text in it is not UTF-8. */
    get value(): Value;
    /** Its sender waits for reply() or fail(). */
    get isRequest(): boolean;
    /** A monitored actor has ended. */
    get hasEnded(): boolean;
    /** What monitor() gave, of one that tells an end. */
    get number(): number;
    /** How it ended: "normal", "killed", "node_lost", ...; docs/semantics.md. */
    get end(): string;
    /** Answers a request, once, now or later. Closed: it has been answered, or its session has ended. */
    reply(value?: Sendable): void;
    /** Its sender gets Failed, with this text. */
    fail(text: string): void;
}
export interface PeerEvents {
    /** `detail` is the new state. */
    state: CustomEvent<State>;
    /** The session has ended at the host: what was under way has an unknown outcome. `detail.incarnation`: of the next one. */
    lost: CustomEvent<{
        incarnation: number;
        why: CoppiceError;
    }>;
    /** Nothing comes any more. `detail` says why. */
    close: CustomEvent<CoppiceError>;
}
export declare interface Peer {
    addEventListener<T extends keyof PeerEvents>(type: T, listener: (event: PeerEvents[T]) => void, options?: boolean | AddEventListenerOptions): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}
export declare class Peer extends EventTarget implements AsyncIterable<Mail> {
    #private;
    private constructor();
    /** "/app/browsers/ann". */
    get path(): string;
    /** What goes on with this session, from another page too: a secret, as a password is. */
    get token(): string;
    get state(): State;
    /** 1, and one more each time that its session was lost and another one begun. */
    get incarnation(): number;
    /** Mail that waits to be received. */
    get waiting(): number;
    /** NotFound, Denied. What is found is remembered. */
    find(path: string, limit?: Limit): Promise<Ref>;
    /** Resolves when the host has given it to the tree. MailboxFull: the receiver's, or what waits here. */
    send(to: Ref | string, value?: Sendable): Promise<void>;
    /** As send, but waits for room among what waits here. Timeout. */
    sendWhenRoom(to: Ref | string, value: Sendable, limit?: Limit): Promise<void>;
    /** The answer; within 5,000 unless told. Timeout, Down, NoHandler, NoReply, Failed and others at once. */
    ask(to: Ref | string, value?: Sendable, limit?: Limit): Promise<Value>;
    /** Mail with hasEnded and this number comes when its present life ends; at once if it has none. */
    monitor(who: Ref | string): Promise<number>;
    /** No such mail is received after this. */
    demonitor(number: number): void;
    join(group: string): Promise<void>;
    leave(group: string): Promise<void>;
    /** To all members but this one; how many took it. */
    publish(group: string, value?: Sendable): Promise<number>;
    /** The next mail. Timeout: there is none in time. What ended the peer, once it is closed and all is received. */
    receive(limit?: Limit): Promise<Mail>;
    /** Its mail, until it is closed in order, here or there; else it throws. */
    [Symbol.asyncIterator](): AsyncIterableIterator<Mail>;
    /** Ends the session, once what was sent before is taken; its name is free then. */
    close(): Promise<void>;
}
/**
 * Joins the tree at the host of browsers at that URL. Unreachable: there is none in time. NameTaken, LimitReached, a CoppiceError with
 * `name_refused`: as the host says. SessionUnknown: there is no session of that token.
 */
export declare function connect(url: string | URL, options?: ConnectOptions): Promise<Peer>;
