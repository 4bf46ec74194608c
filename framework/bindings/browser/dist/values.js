// JavaScript values as values of Coppice, and back: the bytes of schemas/value.capnp.
//
//     null undefined boolean number bigint string Uint8Array Array Map plain-object Reference Record Real
//
// Written as the C++ library writes them, byte for byte; test/golden.json, made by it, holds both against each other.
import { BadMessage, TooLarge } from "./errors.js";
import { EIGHT_BYTES, Reader, Writer } from "./words.js";
/** Fields in order, as of a C++ aggregate. `type`: the C++ name of the message type that it is, "shop::order", or that name's
    number in what was received; "": of none. */
export class Record {
    fields;
    type;
    constructor(fields = [], type = "") {
        this.fields = fields;
        this.type = type;
    }
}
/** Sends a number as a real one, also a whole one: new Real(1). Arrives as a number. */
export class Real {
    value;
    constructor(value) {
        this.value = Number(value);
    }
}
/** The address of an actor that came within a value. It can be sent on, in values to others. */
export class Reference {
    node;
    actor;
    incarnation;
    /** For people; may be empty. */
    path;
    constructor(node, actor, incarnation = 0, path = "") {
        this.node = node;
        this.actor = actor;
        this.incarnation = incarnation;
        this.path = path;
    }
}
/** The number of a message type, by its C++ name: FNV-1a, 64 bits. */
export function typeId(name) {
    let hash = 14695981039346656037n;
    for (const byte of new TextEncoder().encode(name))
        hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1099511628211n);
    return hash;
}
/** Lists, records and maps within one another: limits::wire_nesting. */
const MOST_NESTED = 32;
/** Bytes of a text or an array of bytes, exclusive: limits::wire_text_bytes. */
const MOST_BYTES = 2 ** 29 - 1;
const VOID = 0;
const BOOL = 1;
const INT = 2;
const UINT = 3;
const FLOAT = 4;
const TEXT = 5;
const DATA = 6;
const LIST = 7;
const RECORD = 8;
const MAP = 9;
const REFERENCE = 10;
const INTS = 11;
const UINTS = 12;
const FLOATS = 13;
// Of a Value: words of data, and its one pointer behind them.
const VALUE_DATA = 2;
const VALUE_POINTERS = 1;
const VALUE_WORDS = 3;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// ---------------------------------------------------------------- writing
function utf8(text) {
    // An encoder puts U+FFFD in place of half a character: then another text arrives than was sent.
    for (let i = 0; i < text.length; ++i) {
        const unit = text.charCodeAt(i);
        if ((unit & 0xf800) !== 0xd800)
            continue;
        const next = unit < 0xdc00 ? text.charCodeAt(i + 1) : 0;
        if ((next & 0xfc00) !== 0xdc00)
            throw new TypeError("a string with half a character (a lone surrogate) is no text");
        ++i;
    }
    return encoder.encode(text);
}
function kindOf(value) {
    if (value === null || typeof value !== "object")
        return value === null ? "null" : `a ${typeof value}`;
    return `an object of ${Object.getPrototypeOf(value)?.constructor?.name ?? "no class"}`;
}
function within(depth) {
    if (depth >= MOST_NESTED)
        throw new TooLarge("too_large", `more than ${MOST_NESTED} lists, records and maps within one another`);
    return depth + 1;
}
function fits(content) {
    if (content.length >= MOST_BYTES)
        throw new TooLarge("too_large", "a text, or bytes, of 512 MiB");
    return content;
}
function putNumber(w, slot, value) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
        w.view.setUint16(slot * 8, INT, true);
        w.view.setBigInt64(slot * 8 + 8, BigInt(value), true);
    }
    else {
        putReal(w, slot, value);
    }
}
function putReal(w, slot, value) {
    w.view.setUint16(slot * 8, FLOAT, true);
    w.view.setFloat64(slot * 8 + 8, value, true);
}
function putBigInt(w, slot, value) {
    if (value >= 2n ** 64n || value < -(2n ** 63n))
        throw new RangeError(`${value} does not fit 64 bits`);
    const isSigned = value < 2n ** 63n;
    w.view.setUint16(slot * 8, isSigned ? INT : UINT, true);
    w.view.setBigUint64(slot * 8 + 8, BigInt.asUintN(64, value), true);
}
function putValues(w, at, values, depth) {
    let slot = w.structs(at, values.length, VALUE_DATA, VALUE_POINTERS);
    for (const value of values) {
        put(w, slot, value, depth);
        slot += VALUE_WORDS;
    }
}
function putFields(w, at, record, depth) {
    if (!Array.isArray(record.fields))
        throw new TypeError("the fields of a Record are an Array");
    if (record.fields.length !== 0)
        putValues(w, at, record.fields, within(depth));
    else
        within(depth);
}
function putMap(w, slot, pairs, depth) {
    w.view.setUint16(slot * 8, MAP, true);
    let entry = w.structs(slot + 2, pairs.length, 0, 2);
    for (const [key, mapped] of pairs) {
        put(w, w.struct(entry++, VALUE_DATA, VALUE_POINTERS), key, within(depth));
        put(w, w.struct(entry++, VALUE_DATA, VALUE_POINTERS), mapped, within(depth));
    }
}
function putObject(w, slot, value, depth) {
    if (value instanceof Uint8Array) {
        w.view.setUint16(slot * 8, DATA, true);
        w.bytes(slot + 2, fits(value));
    }
    else if (value instanceof Real) {
        putReal(w, slot, value.value);
    }
    else if (value instanceof Reference) {
        w.view.setUint16(slot * 8, REFERENCE, true);
        const at = w.struct(slot + 2, 3, 1);
        w.view.setBigUint64(at * 8, value.node, true);
        w.view.setBigUint64(at * 8 + 8, value.actor, true);
        w.view.setUint32(at * 8 + 16, value.incarnation, true);
    }
    else if (value instanceof Record) {
        w.view.setUint16(slot * 8, RECORD, true);
        putFields(w, w.struct(slot + 2, 0, 1), value, depth);
    }
    else if (Array.isArray(value)) {
        w.view.setUint16(slot * 8, LIST, true);
        putValues(w, slot + 2, value, within(depth));
    }
    else if (value instanceof Map) {
        putMap(w, slot, [...value], depth);
    }
    else {
        // Of another realm it has another Object.prototype.
        const prototype = Object.getPrototypeOf(value);
        if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
            throw new TypeError(`${kindOf(value)} cannot be sent: it is no value of Coppice`);
        putMap(w, slot, Object.entries(value), depth);
    }
}
function put(w, slot, value, depth) {
    switch (typeof value) {
        case "undefined":
            return;
        case "boolean":
            w.view.setUint16(slot * 8, BOOL, true);
            if (value)
                w.view.setUint8(slot * 8 + 2, 1);
            return;
        case "number":
            return putNumber(w, slot, value);
        case "bigint":
            return putBigInt(w, slot, value);
        case "string":
            w.view.setUint16(slot * 8, TEXT, true);
            return w.text(slot + 2, fits(utf8(value)));
        case "object":
            if (value !== null)
                putObject(w, slot, value, depth);
            return;
        default:
            throw new TypeError(`${kindOf(value)} cannot be sent: it is no value of Coppice`);
    }
}
/** The bytes of a whole message, and the type that it names. */
export function encodeValue(value) {
    const w = new Writer();
    w.allocate(1);
    if (value instanceof Record) {
        putFields(w, w.struct(0, 0, 1), value, 0);
        const type = value.type;
        if (typeof type === "bigint" && (type < 0n || type >= 2n ** 64n))
            throw new RangeError("the type's number has 64 bits");
        return { payload: w.finish(), type: typeof type === "bigint" ? type : type === "" ? 0n : typeId(type) };
    }
    put(w, w.struct(0, VALUE_DATA, VALUE_POINTERS), value, 0);
    return { payload: w.finish(), type: 0n };
}
// ---------------------------------------------------------------- reading
const nothing = { data: 0, dataWords: 0, pointers: 0, pointerCount: 0 };
function exact(integer) {
    const number = Number(integer);
    return Number.isSafeInteger(number) ? number : integer;
}
function textOf(bytes) {
    try {
        return decoder.decode(bytes);
    }
    catch {
        throw new BadMessage("bad_message", "a text that is not UTF-8");
    }
}
function getValues(r, at, depth) {
    const list = r.list(at);
    if (!list)
        return [];
    if (list.element === EIGHT_BYTES)
        throw new BadMessage("bad_message", "numbers in the place of values");
    const values = [];
    const words = list.dataWords + list.pointerCount;
    for (let i = 0; i < list.count; ++i) {
        const data = list.at + i * words;
        values.push(get(r, { data, dataWords: list.dataWords, pointers: data + list.dataWords, pointerCount: list.pointerCount }, depth));
    }
    return values;
}
function getNumbers(r, at, read) {
    const list = r.list(at);
    if (!list)
        return [];
    if (list.element !== EIGHT_BYTES)
        throw new BadMessage("bad_message", "something else in the place of numbers");
    return Array.from({ length: list.count }, (_, i) => read((list.at + i) * 8));
}
// A map whose keys are all texts as an object that has nothing else, not even a prototype; any other as a Map. Of a key that
// stands twice the first counts.
function getMap(r, at, depth) {
    const list = r.list(at);
    const pairs = [];
    for (let i = 0; list && i < list.count; ++i) {
        const entry = list.at + i * (list.dataWords + list.pointerCount) + list.dataWords;
        const key = list.pointerCount > 0 ? r.struct(entry) : null;
        const mapped = list.pointerCount > 1 ? r.struct(entry + 1) : null;
        pairs.push([get(r, key ?? nothing, depth), get(r, mapped ?? nothing, depth)]);
    }
    const isObject = pairs.every(([key]) => typeof key === "string");
    const object = Object.create(null);
    const map = new Map();
    for (const [key, mapped] of pairs) {
        if (map.has(key))
            continue;
        map.set(key, mapped);
        if (isObject)
            object[key] = mapped;
    }
    return isObject ? object : map;
}
function getReference(r, at) {
    const s = r.struct(at);
    if (!s)
        return null;
    const word = (i) => (s.dataWords > i ? r.view.getBigUint64((s.data + i) * 8, true) : 0n);
    const path = s.pointerCount > 0 ? textOf(r.textBytes(s.pointers)) : "";
    return new Reference(word(0), word(1), Number(word(2) & 0xffffffffn), path);
}
function get(r, s, depth) {
    if (depth > MOST_NESTED)
        throw new BadMessage("bad_message", "nested too deep");
    const kind = s.dataWords > 0 ? r.view.getUint16(s.data * 8, true) : VOID;
    const number = s.dataWords > 1 ? s.data * 8 + 8 : -1; // where it stands; a writer leaves out what is 0
    const has = s.pointerCount > 0;
    switch (kind) {
        case BOOL:
            return (r.view.getUint8(s.data * 8 + 2) & 1) !== 0;
        case INT:
            return number < 0 ? 0 : exact(r.view.getBigInt64(number, true));
        case UINT:
            return number < 0 ? 0 : exact(r.view.getBigUint64(number, true));
        case FLOAT:
            return number < 0 ? 0 : r.view.getFloat64(number, true);
        case TEXT:
            return has ? textOf(r.textBytes(s.pointers)) : "";
        case DATA:
            return has ? r.bytes(s.pointers).slice() : new Uint8Array(0);
        case LIST:
            return has ? getValues(r, s.pointers, depth + 1) : [];
        case RECORD: {
            const fields = has ? r.struct(s.pointers) : null;
            return new Record(fields && fields.pointerCount > 0 ? getValues(r, fields.pointers, depth + 1) : []);
        }
        case MAP:
            return has ? getMap(r, s.pointers, depth + 1) : Object.create(null);
        case REFERENCE:
            return has ? getReference(r, s.pointers) : null;
        case INTS:
            return has ? getNumbers(r, s.pointers, (at) => exact(r.view.getBigInt64(at, true))) : [];
        case UINTS:
            return has ? getNumbers(r, s.pointers, (at) => exact(r.view.getBigUint64(at, true))) : [];
        case FLOATS:
            return has ? getNumbers(r, s.pointers, (at) => r.view.getFloat64(at, true)) : [];
        default:
            return null; // void, and kinds of later releases
    }
}
/** The value that a whole message holds. Throws BadMessage. */
export function decodeValue(bytes, type = 0n) {
    const r = new Reader(bytes);
    const root = r.struct(0);
    if (!root)
        return new Record([], type || "");
    if (root.dataWords !== 0)
        return get(r, root, 0);
    return new Record(root.pointerCount > 0 ? getValues(r, root.pointers, 1) : [], type || "");
}
