// The C interface (coppice.h) as koffi sees it: the library, its functions with their types, and codes as errors.
// Functions are called on the thread of the event loop; `callAway` runs those that wait on libuv's thread pool.
import koffi from "koffi";

const HEADER_MAJOR = 1;
const HEADER_MINOR = 2;
export const FOREVER = 2n ** 64n - 1n;

/** What a call came back with. `code` is a number of the one table (docs/errors.md), `codeName` its name there. */
export class CoppiceError extends Error {
    constructor(code, text) {
        const codeName = nameOf(code);
        super(text || codeName);
        this.code = code;
        this.codeName = codeName;
    }
}
// The class's name, for stack traces and for who compares names.
Object.defineProperty(CoppiceError.prototype, "name", {
    get() {
        return this.constructor.name;
    },
});

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

const TIMEOUT = 1;
const STOPPING = 17;
const CLOSED = 21;
const TOO_LARGE = 29;
export const codes = {TIMEOUT, STOPPING, CLOSED, TOO_LARGE};
const classes = new Map([
    [TIMEOUT, Timeout],
    [2, Down],
    [3, MailboxFull],
    [4, Unreachable],
    [6, NoHandler],
    [7, NoReply],
    [10, NotFound],
    [11, NameTaken],
    [STOPPING, Stopping],
    [18, Failed],
    [19, InvalidArgument],
    [CLOSED, Closed],
    [22, NodeLost],
    [TOO_LARGE, TooLarge],
]);

const library = load(process.env.COPPICE_LIBRARY || "libcoppice.so.1");

function load(file) {
    try {
        return koffi.load(file);
    } catch (cause) {
        throw new Error(`${file}: ${cause.message}. Install it, or name it in the variable COPPICE_LIBRARY`, {cause});
    }
}

const handle = "uint64_t";
const name = "const char *";
const out = koffi.out(koffi.pointer("uint64_t"));
const outInt = koffi.out(koffi.pointer("int"));
const outSize = koffi.out(koffi.pointer("size_t"));
const outPointer = koffi.out(koffi.pointer("void *"));
const bytes = [koffi.pointer("uint8_t"), "size_t"]; // a Uint8Array goes as it is, zeros included

const NodeOptions = koffi.struct({
    size: "size_t",
    name,
    tree: name,
    parent: name,
    listen: name,
    secret_file: name,
    secret_env: name,
    hold_ms: "uint64_t",
    join_ms: "uint64_t",
    log_level: "int32_t",
});
const ActorOptions = koffi.struct({size: "size_t", name, mailbox: "uint32_t", stops_node: "int32_t"});
export const sizes = {nodeOptions: koffi.sizeof(NodeOptions), actorOptions: koffi.sizeof(ActorOptions)};

// Names of functions that return a code, with the types of their arguments.
const signatures = {
    check_version: ["uint32_t", "uint32_t"],
    close: [handle],
    open_node_telling: [koffi.pointer(NodeOptions), out, koffi.pointer("uint8_t"), "size_t"],
    open_actor: [handle, koffi.pointer(ActorOptions), out],
    open_child: ["int", out, out],
    exit_code: [],
    is_child: [],
    stream: [handle, outInt],
    ready: [handle],
    give_up: [handle, ...bytes],
    path: [handle, outPointer, outSize],
    find_later: [handle, name, out],
    self: [handle, out],
    ref_text: [handle, koffi.pointer("uint8_t"), "size_t"],
    same: [handle, handle],
    send_nothing: [handle, handle],
    send_bool: [handle, handle, "int"],
    send_int64: [handle, handle, "int64_t"],
    send_double: [handle, handle, "double"],
    send_text: [handle, handle, ...bytes],
    send_bytes: [handle, handle, ...bytes],
    send: [handle, handle, handle, "uint64_t"],
    send_later: [handle, handle, handle, "uint64_t", out],
    ask_later: [handle, handle, handle, "uint64_t", out],
    receive_view: [handle, "uint64_t", koffi.pointer("uint8_t"), ...bytes], // view.js
    receive_answer: [handle, "uint64_t", out],
    mail_value: [handle, out],
    mail_sender: [handle, out],
    mail_number: [handle, out],
    mail_code: [handle, outInt],
    reply: [handle, handle],
    fail: [handle, ...bytes],
    new_nothing: [out],
    new_bool: ["int", out],
    new_int64: ["int64_t", out],
    new_uint64: ["uint64_t", out],
    new_double: ["double", out],
    new_text: [...bytes, out],
    new_bytes: [...bytes, out],
    new_tagged: ["uint64_t", ...bytes, out],
    new_ref: [handle, out],
    new_list: [out],
    new_map: [out],
    new_record: [name, out],
    new_record_of: ["uint64_t", out],
    add: [handle, handle],
    put: [handle, handle, handle],
    value_kind_of: [handle, outInt],
    get_bool: [handle, outInt],
    get_int64: [handle, koffi.out(koffi.pointer("int64_t"))],
    get_uint64: [handle, out],
    get_double: [handle, koffi.out(koffi.pointer("double"))],
    get_text: [handle, outPointer, outSize],
    get_bytes: [handle, outPointer, outSize],
    get_tagged: [handle, out, outPointer, outSize],
    get_ref: [handle, out],
    value_size: [handle, outSize],
    value_at: [handle, "size_t", out],
    value_key: [handle, "size_t", out],
    value_type: [handle, out],
    join: [handle, name],
    leave: [handle, name],
    publish: [handle, name, handle, outSize],
    monitor: [handle, handle, out],
    forget_monitor: [handle, "uint64_t"],
    stop: [handle, handle],
    shutdown: [handle, handle, "uint64_t"],
    kill: [handle, handle],
    log: [handle, "int", ...bytes],
};

/** coppice_NAME as functions.NAME: each returns its code. */
export const functions = Object.fromEntries(
    Object.entries(signatures).map(([key, types]) => [key, library.func("coppice_" + key, "int", types)]),
);
const errorText = library.func("coppice_error_text", "const char *", []);
const codeName = library.func("coppice_code_name", "const char *", ["int"]);
export const openHandles = library.func("coppice_open_handles", "size_t", []);
export const typeIdOf = library.func("coppice_type_id", "uint64_t", [name]);

function nameOf(code) {
    return codeName(code);
}

export function errorOf(code, text = "") {
    return new (classes.get(code) ?? CoppiceError)(code, text);
}

export function check(code) {
    if (code !== 0) throw errorOf(code, errorText());
}

/** Calls coppice_NAME and throws what it comes back with. */
export function call(key, ...given) {
    check(functions[key](...given));
}

/** The handle, or number, that coppice_NAME puts into its last argument. */
export function made(key, ...given) {
    const result = [0];
    check(functions[key](...given, result));
    return result[0];
}

/** The code of coppice_NAME, which runs on the thread pool. Its text is that of another thread, and lost. */
export function callAway(key, ...given) {
    return new Promise((resolve, reject) => {
        functions[key].async(...given, (error, code) => (error ? reject(error) : resolve(code)));
    });
}

/** The bytes that a function has shown; copied. */
export function copied(pointer, size) {
    return Number(size) === 0 ? new Uint8Array(0) : koffi.decode(pointer, "uint8_t", Number(size));
}

const loneSurrogate = /\p{Surrogate}/u;
const encoder = new TextEncoder();

/** UTF-8 of a text. What has a lone surrogate is no text. */
export function encoded(text) {
    if (loneSurrogate.test(text)) throw new TypeError("a text with a lone surrogate has no UTF-8: send bytes");
    return encoder.encode(text);
}

const decoder = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});

/** The text of UTF-8; a TypeError for what is none. */
export function decoded(content) {
    return decoder.decode(content);
}

/** For arguments that end at their terminating zero. */
export function nameArgument(text) {
    if (text === undefined || text === null) return null;
    if (typeof text !== "string") throw new TypeError("a name is a string");
    if (text.includes("\0")) throw new TypeError("a name must not have a zero character");
    if (loneSurrogate.test(text)) throw new TypeError("a name must not have a lone surrogate");
    return text;
}

/** A time limit in milliseconds; Infinity: none. A time that is not nothing is at least a millisecond. */
export function milliseconds(limit) {
    if (typeof limit !== "number" || Number.isNaN(limit)) throw new TypeError("a time limit is a number of milliseconds");
    if (limit <= 0) return 0;
    const whole = Math.ceil(limit);
    return Number.isSafeInteger(whole) ? whole : FOREVER;
}

check(functions.check_version(HEADER_MAJOR, HEADER_MINOR));
