// The next mail of an actor together with what it brought: coppice_view in memory of our own, because koffi takes several times as long to
// make an object of a struct, or to fill a pointer to one number. The event loop's thread.
import koffi from "koffi";

import {decoded, functions} from "./abi.js";
import {BOOL, BYTES, exact, INT, REAL, TEXT, UINT} from "./values.js";

const View = koffi.struct({
    size: "size_t",
    mail: "uint64_t",
    what: "int32_t",
    kind: "int32_t",
    integer: "int64_t",
    real: "double",
    bytes: "void *",
    length: "size_t",
});
const at = Object.fromEntries(["mail", "what", "kind", "integer", "real", "length"].map((key) => [key, koffi.offsetof(View, key)]));
const fields = new DataView(new ArrayBuffer(koffi.sizeof(View)));
const memory = new Uint8Array(fields.buffer);
const contents = new Uint8Array(4096); // where texts and bytes are copied to; larger ones are read from the mail
const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const getSize = koffi.sizeof("size_t") === 8 ? (offset) => Number(fields.getBigUint64(offset, isLittle)) : (offset) => fields.getUint32(offset, isLittle);
koffi.encode(memory, 0, "size_t", memory.length);

/** Receives without waiting. Its code; if that is 0, the other functions tell of this mail, until the next call. */
export function receive(actor) {
    return functions.receive_view(actor, 0, memory, contents, contents.length);
}
export const mailSeen = () => fields.getBigUint64(at.mail, isLittle);
/** A kind of mail. */
export const whatIsSeen = () => fields.getInt32(at.what, isLittle);

/** A function that gives the value, now or later, if it is known without the mail. */
export function valueSeen() {
    switch (fields.getInt32(at.kind, isLittle)) {
        case BOOL: {
            const truth = fields.getInt8(isLittle ? at.integer : at.integer + 7) !== 0;
            return () => truth;
        }
        case INT: {
            const integer = fields.getBigInt64(at.integer, isLittle);
            return () => exact(integer);
        }
        case UINT: {
            const integer = fields.getBigUint64(at.integer, isLittle);
            return () => exact(integer);
        }
        case REAL: {
            const real = fields.getFloat64(at.real, isLittle);
            return () => real;
        }
        case TEXT: {
            const copy = contentSeen();
            return copy && (() => decoded(copy));
        }
        case BYTES: {
            const copy = contentSeen();
            return copy && (() => copy);
        }
        default:
            return undefined;
    }
}

function contentSeen() {
    const length = getSize(at.length);
    return length > contents.length ? undefined : contents.slice(0, length);
}
