// Values and frames against the bytes that the C++ library and Cap'n Proto's generated code write (golden.json, which
// tests/actors/browser_page_test.cpp holds against them), and against bytes that are damaged. node --test
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {decodeFrame, encodeFrame} from "../dist/frames.js";
import {BadMessage, Record, Reference, typeId} from "../dist/index.js";
import {decodeValue, encodeValue} from "../dist/values.js";

const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8"));
const bytes = (name) => Uint8Array.from(golden[name].match(/../g) ?? [], (pair) => parseInt(pair, 16));
const plain = (object) => Object.assign(Object.create(null), object);

const values = {
    "nothing": null,
    "true": true,
    "zero": 0,
    "most": 2n ** 63n - 1n,
    "least": -(2n ** 63n),
    "unsigned": 2n ** 64n - 1n,
    "half": 0.5,
    "empty text": "",
    "text": "four bytes: \u{1d11e}",
    "no bytes": new Uint8Array(0),
    "bytes": new Uint8Array([1, 0, 255]),
    "no list": [],
    "list": [1, ["two"]],
    "no map": plain({}),
    "map": plain({a: 1, b: [null]}),
    "no record": new Record([]),
    "record": new Record([7, "seven", new Record([])]),
    "within": [new Record([true])],
    "reference": new Reference(1n, 2n, 3),
};
const frame = {
    kind: 17, code: 2, flags: 3, sequence: 4, acknowledged: 5, taken: 6, correlation: 7, actor: 8, type: 9n, time: 10,
    window: 11, bytes: 12, text: "thirteen", payload: new Uint8Array([1, 4]),
};

for (const [name, value] of Object.entries(values))
    test(`the value "${name}" has the bytes of the C++ library`, () => {
        assert.deepEqual(decodeValue(bytes(name)), value);
        assert.deepEqual(encodeValue(value).payload, bytes(name));
    });

test("a frame has the bytes of Cap'n Proto's generated code", () => {
    assert.deepEqual(decodeFrame(bytes("frame")), frame);
    assert.deepEqual(encodeFrame(frame), bytes("frame"));
});

test("every value of the file is tested", () => {
    assert.deepEqual(Object.keys(golden).sort(), [...Object.keys(values), "frame"].sort());
});

test("the type of a record is its name's number", () => {
    assert.equal(encodeValue(new Record([], "shop::order")).type, 0x5bdc6997c3bc77fbn); // docs/wire_format.md
    assert.equal(typeId("shop::order"), 0x5bdc6997c3bc77fbn);
});

test("a key that stands twice counts where it stands first", () => {
    const twice = encodeValue(new Map([["a", 1], ["b", 2]])).payload;
    const at = twice.lastIndexOf("b".charCodeAt(0));
    twice[at] = "a".charCodeAt(0);
    assert.deepEqual(decodeValue(twice), plain({a: 1}));
});

test("damaged bytes are refused, or hold other values, at no more cost than they are long", () => {
    let seed = 42;
    const random = (below) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
    const all = Object.keys(golden);
    let refused = 0;
    for (let i = 0; i < 50_000; ++i) {
        const name = all[i % all.length];
        const damaged = bytes(name).slice(0, random(4) === 0 ? random(bytes(name).length + 1) : undefined);
        for (let n = 1 + random(4); n > 0 && damaged.length > 0; --n) damaged[random(damaged.length)] = random(256);
        try {
            name === "frame" ? decodeFrame(damaged) : decodeValue(damaged);
        } catch (error) {
            assert.ok(error instanceof BadMessage, String(error?.stack));
            ++refused;
        }
    }
    assert.ok(refused > 1000);
});
