// JavaScript values as values of Coppice, and back. The event loop's thread.
//
//     null undefined boolean number bigint string Uint8Array Array Map plain-object Ref Tagged Record Real
import {types} from "node:util";

import {call, check, codes, copied, decoded, encoded, errorOf, functions, made, nameArgument, typeIdOf} from "./abi.js";

const NOTHING = 0;
export const BOOL = 1;
export const INT = 2;
export const UINT = 3;
export const REAL = 4;
export const TEXT = 5;
export const BYTES = 6;
const LIST = 7;
const RECORD = 8;
const MAP = 9;
const REF = 10;
const TAGGED = 11;

const MOST_NESTED = 32; // as the library has it; here it ends what holds itself

/** The key under which an object keeps its handle; 0 once it is closed. */
export const held = Symbol("handle");

const forgotten = new FinalizationRegistry((handle) => functions.close(handle));

/** Owns a handle of the library: closed by close(), by `using`, or some time after it was forgotten. */
export class Handle {
    constructor(handle) {
        this[held] = handle;
        forgotten.register(this, handle, this);
    }
    close() {
        const handle = this[held];
        if (!handle) return;
        this[held] = 0;
        forgotten.unregister(this);
        call("close", handle);
    }
}
if (Symbol.dispose)
    Handle.prototype[Symbol.dispose] = function () {
        this.close();
    };

/** The handle of an object of that class. A closed one is for the library to refuse. */
export function handleOf(object, type, what) {
    if (!(object instanceof type)) throw new TypeError(`${what} is ${kindOf(object)}, where a ${type.name} is needed`);
    if (!object[held]) throw errorOf(codes.CLOSED, `${what} was closed before`);
    return object[held];
}

function kindOf(value) {
    if (value === null || typeof value !== "object") return String(value === null ? null : typeof value);
    return "an object of " + (Object.getPrototypeOf(value)?.constructor?.name ?? "no class");
}

/** Leads to an actor, wherever it runs, also after it was restarted. */
export class Ref extends Handle {
    equals(other) {
        return other instanceof Ref && functions.same(this[held], other[held]) === 0;
    }
    toString() {
        const text = new Uint8Array(1024);
        if (functions.ref_text(this[held], text, text.length) !== 0) return "closed";
        return decoded(text.subarray(0, text.indexOf(0)));
    }
    [Symbol.for("nodejs.util.inspect.custom")]() {
        return `Ref(${this})`;
    }
}

/** Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which. */
export class Tagged {
    constructor(tag, content) {
        this.tag = tag;
        this.content = content;
    }
}

/** Fields in order, as of a C++ aggregate. `type`: the C++ name of the message type that it is, "shop::order", or that name's
    number in what was received; "": of none. */
export class Record {
    constructor(fields = [], type = "") {
        this.fields = fields;
        this.type = type;
    }
}

/** Sends a number as a real one, also a whole one: new Real(1). Arrives as a number. */
export class Real {
    constructor(value) {
        this.value = Number(value);
    }
}

/** The number of a message type, by its C++ name; a bigint above 2^53. */
export function typeId(name) {
    return typeIdOf(nameArgument(name));
}

/** True for what is sent as an integer in a number. */
export function isInteger(value) {
    return Number.isSafeInteger(value) && !Object.is(value, -0);
}

function unsigned(value, what) {
    if (typeof value === "bigint" ? value >= 0n && value < 2n ** 64n : Number.isSafeInteger(value) && value >= 0)
        return value;
    throw new RangeError(`${what} is ${String(value)}: it is a whole number of 64 bits, a bigint above 2^53`);
}

function bigInteger(value) {
    if (value >= -(2n ** 63n) && value < 2n ** 63n) return made("new_int64", value);
    if (value >= 0n && value < 2n ** 64n) return made("new_uint64", value);
    throw new RangeError(`${value} does not fit 64 bits`);
}

/** A new value of the library's; whoever has it closes it, or gives it to another one. */
export function toHandle(value, depth = 0) {
    switch (typeof value) {
        case "undefined":
            return made("new_nothing");
        case "boolean":
            return made("new_bool", value ? 1 : 0);
        case "number":
            return isInteger(value) ? made("new_int64", value) : made("new_double", value);
        case "bigint":
            return bigInteger(value);
        case "string": {
            const text = encoded(value);
            return made("new_text", text, text.length);
        }
        case "object":
            return objectToHandle(value, depth);
        default:
            throw new TypeError(`a ${typeof value} cannot be sent: it is no value of Coppice`);
    }
}

function objectToHandle(value, depth) {
    if (value === null) return made("new_nothing");
    if (types.isUint8Array(value)) return made("new_bytes", value, value.length);
    if (value instanceof Real) return made("new_double", value.value);
    if (value instanceof Ref) return made("new_ref", handleOf(value, Ref, "the ref"));
    if (value instanceof Tagged) {
        const {tag, content} = value;
        if (!types.isUint8Array(content)) throw new TypeError("the content of a Tagged is a Uint8Array");
        return made("new_tagged", unsigned(tag, "the tag"), content, content.length);
    }
    if (depth >= MOST_NESTED)
        throw errorOf(codes.TOO_LARGE, `more than ${MOST_NESTED} lists, records and maps are within one another`);
    if (value instanceof Record) {
        const {fields, type} = value;
        if (!Array.isArray(fields)) throw new TypeError("the fields of a Record are an Array");
        const whole =
            typeof type === "string"
                ? made("new_record", nameArgument(type) || null)
                : made("new_record_of", unsigned(type, "the type"));
        return filled(whole, fields, depth);
    }
    if (Array.isArray(value)) return filled(made("new_list"), value, depth);
    if (types.isMap(value)) return mapped(made("new_map"), value.entries(), depth);
    // Of another realm (node:vm) it has another Object.prototype.
    const prototype = Object.getPrototypeOf(value);
    if (prototype === null || Object.getPrototypeOf(prototype) === null)
        return mapped(made("new_map"), Object.entries(value), depth);
    throw new TypeError(`${kindOf(value)} cannot be sent: it is no value of Coppice`);
}

function filled(whole, parts, depth) {
    try {
        for (const part of parts) call("add", whole, toHandle(part, depth + 1)); // takes the part, whatever comes of it
        return whole;
    } catch (error) {
        functions.close(whole);
        throw error;
    }
}

function mapped(whole, pairs, depth) {
    try {
        for (const [key, value] of pairs) {
            const first = toHandle(key, depth + 1);
            let second;
            try {
                second = toHandle(value, depth + 1);
            } catch (error) {
                functions.close(first);
                throw error;
            }
            call("put", whole, first, second);
        }
        return whole;
    } catch (error) {
        functions.close(whole);
        throw error;
    }
}

/** use(handle) with a value that lives as long. */
export function withValue(value, use) {
    const handle = toHandle(value);
    try {
        return use(handle);
    } finally {
        functions.close(handle);
    }
}

function contentOf(key, handle) {
    const at = [null];
    const size = [0];
    check(functions[key](handle, at, size));
    return copied(at[0], size[0]);
}

function partsOf(key, handle) {
    const size = Number(made("value_size", handle));
    const parts = new Array(size);
    for (let i = 0; i < size; ++i) parts[i] = fromHandle(made(key, handle, i));
    return parts;
}

// A map whose keys are all texts as an object that has nothing else, not even a prototype; any other as a Map.
function mapOf(handle) {
    const keys = partsOf("value_key", handle);
    const values = partsOf("value_at", handle);
    if (!keys.every((key) => typeof key === "string")) return new Map(keys.map((key, i) => [key, values[i]]));
    const object = Object.create(null);
    keys.forEach((key, i) => (object[key] = values[i]));
    return object;
}

/** A number where that is exact, else a bigint. koffi gives 2^53 and -2^53 as numbers. */
export function exact(integer) {
    const number = Number(integer);
    return Number.isSafeInteger(number) ? number : BigInt(integer);
}

/** What a value holds, or what a mail brought. */
export function read(handle) {
    switch (made("value_kind_of", handle)) {
        case NOTHING:
            return null;
        case BOOL:
            return made("get_bool", handle) !== 0;
        case INT:
            return exact(made("get_int64", handle));
        case UINT:
            return exact(made("get_uint64", handle));
        case REAL:
            return made("get_double", handle);
        case TEXT:
            return decoded(contentOf("get_text", handle));
        case BYTES:
            return contentOf("get_bytes", handle);
        case LIST:
            return partsOf("value_at", handle);
        case RECORD:
            return new Record(partsOf("value_at", handle), made("value_type", handle) || "");
        case MAP:
            return mapOf(handle);
        case REF:
            return new Ref(made("get_ref", handle));
        case TAGGED: {
            const tag = [0];
            const at = [null];
            const size = [0];
            call("get_tagged", handle, tag, at, size);
            return new Tagged(tag[0], copied(at[0], size[0]));
        }
        default:
            throw new TypeError("a value of a kind that this version does not know");
    }
}

/** What a value holds. Closes the handle. */
export function fromHandle(handle) {
    try {
        return read(handle);
    } finally {
        functions.close(handle);
    }
}
