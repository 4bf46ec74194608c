// Types of src/words.ts, made by npm run build.
/** Sizes of list elements (Cap'n Proto's encoding, "Lists"). */
export declare const BYTES = 2;
export declare const EIGHT_BYTES = 5;
export declare class Writer {
    #private;
    view: DataView;
    constructor(words?: number);
    /** The segment. */
    finish(): Uint8Array<ArrayBuffer>;
    /** Room for so many words, zeros; where they begin. */
    allocate(words: number): number;
    /** A struct that the pointer at `at` leads to; where it begins. */
    struct(at: number, dataWords: number, pointers: number): number;
    /** A list of structs; where the first begins. */
    structs(at: number, count: number, dataWords: number, pointers: number): number;
    bytes(at: number, content: Uint8Array, zeros?: number): void;
    /** With the zero that ends a text. */
    text(at: number, content: Uint8Array): void;
}
export interface StructAt {
    /** In words. */
    data: number;
    dataWords: number;
    pointers: number;
    pointerCount: number;
}
export interface ListAt {
    at: number;
    count: number;
    /** One of BYTES, EIGHT_BYTES; or structs, of that shape. */
    element: number;
    dataWords: number;
    pointerCount: number;
}
export declare class Reader {
    #private;
    readonly view: DataView;
    constructor(bytes: Uint8Array);
    /** The struct at the pointer's end; null for a pointer to nothing. */
    struct(at: number): StructAt | null;
    /** The list at the pointer's end; null for a pointer to nothing. */
    list(at: number): ListAt | null;
    /** The bytes at the pointer's end, as a view of the segment. */
    bytes(at: number): Uint8Array;
    /** Without the zero at its end. */
    textBytes(at: number): Uint8Array;
}
