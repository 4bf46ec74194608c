// Frames between a browser and its host: the bytes of BrowserFrame in schemas/browser.capnp.
import {BadMessage} from "./errors.js";
import {Reader, Writer} from "./words.js";

export const PROTOCOL_VERSION = 1;
export const FLAG_NEW_PAGE = 1;

export const Kind = {
    hello: 1, resume: 2, welcome: 3, refused: 4, acknowledge: 5, ping: 6, pong: 7,
    mail: 16, ask: 17, answer: 18, failure: 19, join: 20, leave: 21, publish: 22, find: 23, found: 24, monitor: 25,
    demonitor: 26, down: 27, bye: 28,
} as const;

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

const DATA_WORDS = 9;
const POINTERS = 2;
const none = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", {ignoreBOM: true});

export function encodeFrame(f: Partial<Frame> & {kind: number}): Uint8Array<ArrayBuffer> {
    const text = encoder.encode(f.text ?? "");
    const payload = f.payload ?? none;
    const w = new Writer(DATA_WORDS + POINTERS + 3 + Math.ceil((text.length + payload.length) / 8));
    const at = w.struct(w.allocate(1), DATA_WORDS, POINTERS);
    w.view.setUint16(at * 8, f.kind, true);
    w.view.setUint16(at * 8 + 2, f.code ?? 0, true);
    w.view.setUint32(at * 8 + 4, f.flags ?? 0, true);
    const word = (i: number, value: number | bigint): void => w.view.setBigUint64((at + i) * 8, BigInt(value), true);
    word(1, f.sequence ?? 0);
    word(2, f.acknowledged ?? 0);
    word(3, f.taken ?? 0);
    word(4, f.correlation ?? 0);
    word(5, f.actor ?? 0);
    word(6, f.type ?? 0n);
    word(7, f.time ?? 0);
    w.view.setUint32((at + 8) * 8, f.window ?? 0, true);
    w.view.setUint32((at + 8) * 8 + 4, f.bytes ?? 0, true);
    if (text.length > 0) w.text(at + DATA_WORDS, text);
    if (payload.length > 0) w.bytes(at + DATA_WORDS + 1, payload);
    return w.finish();
}

/** Throws BadMessage. The payload is a view of the bytes. */
export function decodeFrame(bytes: Uint8Array): Frame {
    const r = new Reader(bytes);
    const s = r.struct(0);
    if (!s) throw new BadMessage("bad_message", "a frame of nothing");
    const word = (i: number): bigint => (s.dataWords > i ? r.view.getBigUint64((s.data + i) * 8, true) : 0n);
    const number = (i: number): number => {
        const n = Number(word(i));
        if (!Number.isSafeInteger(n)) throw new BadMessage("bad_message", "a number beyond 2^53");
        return n;
    };
    const first = word(0);
    const last = word(8);
    return {
        kind: Number(first & 0xffffn),
        code: Number((first >> 16n) & 0xffffn),
        flags: Number(first >> 32n),
        sequence: number(1),
        acknowledged: number(2),
        taken: number(3),
        correlation: number(4),
        actor: number(5),
        type: word(6),
        time: number(7),
        window: Number(last & 0xffffffffn),
        bytes: Number(last >> 32n),
        text: s.pointerCount > 0 ? decoder.decode(r.textBytes(s.pointers)) : "",
        payload: s.pointerCount > 1 ? r.bytes(s.pointers + 1) : none,
    };
}
