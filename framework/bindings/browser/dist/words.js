// Single segments of Cap'n Proto: words that are written one behind the other, and read within bounds.
//
// A reader follows each word once: bytes of a stranger cost no more than they are long. Both are for trees of structs and
// lists in one segment; far pointers and capabilities are refused, as Coppice writes none.
import { BadMessage, TooLarge } from "./errors.js";
const POINTER_STRUCT = 0;
const POINTER_LIST = 1;
/** Sizes of list elements (Cap'n Proto's encoding, "Lists"). */
export const BYTES = 2;
export const EIGHT_BYTES = 5;
const COMPOSITE = 7;
/** Words that a segment may have: offsets have 30 bits with their sign. */
const MOST_WORDS = 2 ** 28;
export class Writer {
    #bytes;
    view;
    #words = 0;
    constructor(words = 64) {
        this.#bytes = new Uint8Array(words * 8);
        this.view = new DataView(this.#bytes.buffer);
    }
    /** The segment. */
    finish() {
        return this.#bytes.slice(0, this.#words * 8);
    }
    /** Room for so many words, zeros; where they begin. */
    allocate(words) {
        const at = this.#words;
        this.#words += words;
        if (this.#words > MOST_WORDS)
            throw new TooLarge("too_large", "a value of more than 2 GiB");
        if (this.#words * 8 > this.#bytes.length) {
            const larger = new Uint8Array(Math.max(this.#words * 8, this.#bytes.length * 2));
            larger.set(this.#bytes);
            this.#bytes = larger;
            this.view = new DataView(larger.buffer);
        }
        return at;
    }
    #point(at, target, tag, upper) {
        this.view.setUint32(at * 8, ((target - at - 1) * 4 + tag) >>> 0, true);
        this.view.setUint32(at * 8 + 4, upper >>> 0, true);
    }
    /** A struct that the pointer at `at` leads to; where it begins. */
    struct(at, dataWords, pointers) {
        const target = this.allocate(dataWords + pointers);
        this.#point(at, target, POINTER_STRUCT, dataWords + pointers * 0x10000);
        return target;
    }
    /** A list of structs; where the first begins. */
    structs(at, count, dataWords, pointers) {
        const words = count * (dataWords + pointers);
        const tag = this.allocate(1 + words);
        this.#point(at, tag, POINTER_LIST, COMPOSITE + words * 8);
        this.view.setUint32(tag * 8, count * 4, true);
        this.view.setUint32(tag * 8 + 4, dataWords + pointers * 0x10000, true);
        return tag + 1;
    }
    bytes(at, content, zeros = 0) {
        const size = content.length + zeros;
        const target = this.allocate(Math.ceil(size / 8));
        this.#point(at, target, POINTER_LIST, BYTES + size * 8);
        this.#bytes.set(content, target * 8);
    }
    /** With the zero that ends a text. */
    text(at, content) {
        this.bytes(at, content, 1);
    }
}
export class Reader {
    view;
    #bytes;
    #words;
    #left;
    constructor(bytes) {
        if (bytes.length === 0 || bytes.length % 8 !== 0)
            throw bad("not whole words");
        this.#bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        this.#words = bytes.length / 8;
        this.#left = this.#words;
    }
    #take(at, words, cost = words) {
        if (at < 0 || words > this.#words - at)
            throw bad("a pointer leads outside");
        this.#left -= cost;
        if (this.#left < 0)
            throw bad("what is read twice");
    }
    #target(at) {
        const lower = this.view.getUint32(at * 8, true);
        const upper = this.view.getUint32(at * 8 + 4, true);
        return { lower, upper, target: at + 1 + (this.view.getInt32(at * 8, true) >> 2) };
    }
    /** The struct at the pointer's end; null for a pointer to nothing. */
    struct(at) {
        const { lower, upper, target } = this.#target(at);
        if (lower === 0 && upper === 0)
            return null;
        if ((lower & 3) !== POINTER_STRUCT)
            throw bad("something else in a struct's place");
        const dataWords = upper & 0xffff;
        const pointerCount = upper >>> 16;
        this.#take(target, dataWords + pointerCount);
        return { data: target, dataWords, pointers: target + dataWords, pointerCount };
    }
    /** The list at the pointer's end; null for a pointer to nothing. */
    list(at) {
        const { lower, upper, target } = this.#target(at);
        if (lower === 0 && upper === 0)
            return null;
        if ((lower & 3) !== POINTER_LIST)
            throw bad("something else in a list's place");
        const element = upper & 7;
        const size = upper >>> 3;
        if (element === BYTES) {
            this.#take(target, Math.ceil(size / 8));
            return { at: target, count: size, element, dataWords: 0, pointerCount: 0 };
        }
        if (element === EIGHT_BYTES) {
            this.#take(target, size);
            return { at: target, count: size, element, dataWords: 1, pointerCount: 0 };
        }
        if (element !== COMPOSITE)
            throw bad("a list of elements that no value has");
        this.#take(target, size + 1);
        const tag = this.view.getUint32(target * 8, true);
        const shape = this.view.getUint32(target * 8 + 4, true);
        const count = tag >>> 2;
        const dataWords = shape & 0xffff;
        const pointerCount = shape >>> 16;
        if ((tag & 3) !== POINTER_STRUCT || count * (dataWords + pointerCount) > size)
            throw bad("a list larger than itself");
        // An element without words costs as one with: else a few bytes could make millions of them.
        if (dataWords + pointerCount === 0)
            this.#take(target, 0, count);
        return { at: target + 1, count, element, dataWords, pointerCount };
    }
    /** The bytes at the pointer's end, as a view of the segment. */
    bytes(at) {
        const list = this.list(at);
        if (!list)
            return new Uint8Array(0);
        if (list.element !== BYTES)
            throw bad("something else in the place of bytes");
        return this.#bytes.subarray(list.at * 8, list.at * 8 + list.count);
    }
    /** Without the zero at its end. */
    textBytes(at) {
        const content = this.bytes(at);
        if (content.length === 0)
            return content;
        if (content[content.length - 1] !== 0)
            throw bad("a text without an end");
        return content.subarray(0, content.length - 1);
    }
}
function bad(what) {
    return new BadMessage("bad_message", what);
}
