// Types of src/values.ts, made by npm run build.
/** What can be sent. `undefined` arrives as null, a Real as a number. */
export type Sendable = null | undefined | boolean | number | bigint | string | Uint8Array | Reference | Record | Real | readonly Sendable[] | ReadonlyMap<Sendable, Sendable> | {
    readonly [key: string]: Sendable;
};
/** What arrives: an integer beyond 2^53 is a bigint, a map whose keys are all strings an object without a prototype. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Reference | Record | Value[] | Map<Value, Value> | {
    [key: string]: Value;
};
/** Fields in order, as of a C++ aggregate. `type`: the C++ name of the message type that it is, "shop::order", or that name's
    number in what was received; "": of none. */
export declare class Record<Fields extends readonly Sendable[] = Value[]> {
    fields: Fields;
    type: string | bigint;
    constructor(fields?: Fields, type?: string | bigint);
}
/** Sends a number as a real one, also a whole one: new Real(1). Arrives as a number. */
export declare class Real {
    readonly value: number;
    constructor(value: number);
}
/** The address of an actor that came within a value. It can be sent on, in values to others. */
export declare class Reference {
    readonly node: bigint;
    readonly actor: bigint;
    readonly incarnation: number;
    /** For people; may be empty. */
    readonly path: string;
    constructor(node: bigint, actor: bigint, incarnation?: number, path?: string);
}
/** The number of a message type, by its C++ name: FNV-1a, 64 bits. */
export declare function typeId(name: string): bigint;
/** The bytes of a whole message, and the type that it names. */
export declare function encodeValue(value: Sendable): {
    payload: Uint8Array<ArrayBuffer>;
    type: bigint;
};
/** The value that a whole message holds. Throws BadMessage. */
export declare function decodeValue(bytes: Uint8Array, type?: bigint): Value;
