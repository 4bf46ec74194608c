// Types of src/frames.ts, made by npm run build.
export declare const PROTOCOL_VERSION = 1;
export declare const FLAG_NEW_PAGE = 1;
export declare const Kind: {
    readonly hello: 1;
    readonly resume: 2;
    readonly welcome: 3;
    readonly refused: 4;
    readonly acknowledge: 5;
    readonly ping: 6;
    readonly pong: 7;
    readonly mail: 16;
    readonly ask: 17;
    readonly answer: 18;
    readonly failure: 19;
    readonly join: 20;
    readonly leave: 21;
    readonly publish: 22;
    readonly find: 23;
    readonly found: 24;
    readonly monitor: 25;
    readonly demonitor: 26;
    readonly down: 27;
    readonly bye: 28;
};
/** The fields as the schema describes them. Numbers stay below 2^53, or the frame is refused. */
export interface Frame {
    kind: number;
    code: number;
    flags: number;
    sequence: number;
    acknowledged: number;
    taken: number;
    correlation: number;
    actor: number;
    type: bigint;
    time: number;
    window: number;
    bytes: number;
    text: string;
    payload: Uint8Array;
}
export declare function encodeFrame(f: Partial<Frame> & {
    kind: number;
}): Uint8Array<ArrayBuffer>;
/** Throws BadMessage. The payload is a view of the bytes. */
export declare function decodeFrame(bytes: Uint8Array): Frame;
