// Types of src/link.ts, made by npm run build.
import { CoppiceError } from "./errors.js";
import { type Frame } from "./frames.js";
export type LinkState = "connecting" | "open" | "waiting" | "closed";
export interface LinkOptions {
    url: string;
    token: Uint8Array;
    name: string;
    /** The token is one of a page before this one. */
    isResumed: boolean;
    WebSocket: typeof WebSocket;
    retryFirst: number;
    retryMost: number;
    connectWithin: number;
    pingAfter: number;
    queueBytes: number;
}
export interface LinkUser {
    /** A numbered frame, once and in order. */
    arrived(frame: Frame): void;
    /** It is connected, for the first time or again. */
    welcomed(path: string): void;
    changed(state: LinkState): void;
    /** Nothing comes any more. `isOrderly`: somebody has ended the session as it should be. */
    ended(why: CoppiceError, isOrderly: boolean): void;
}
export declare class Link {
    #private;
    constructor(options: LinkOptions, user: LinkUser);
    get state(): LinkState;
    /** Bytes that a payload may have. */
    get mostBytes(): number;
    get hasRoom(): boolean;
    /** Numbers a frame, sends it, and keeps it until it is acknowledged. `isOwed`: the host has room for it, as it asked. */
    post(frame: Partial<Frame> & {
        kind: number;
    }, acknowledged?: () => void, isOwed?: boolean): void;
    /** Resolves when there may be room, or nothing comes any more. */
    whenRoom(): Promise<void>;
    /** The page has taken a piece of mail. */
    took(): void;
    /** Ends it here; the host is told by a frame before it. */
    end(why: CoppiceError, isOrderly: boolean): void;
}
