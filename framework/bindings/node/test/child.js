// The child of tests/capi/languages_test.cpp, which says what a child does.
import {inspect, isDeepStrictEqual} from "node:util";

import {Record, Ref, Tagged, runAsChild} from "coppice";

const values = (me, large) => [
    null,
    true,
    false,
    0,
    -1,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 64n - 1n,
    0.5,
    -Infinity,
    NaN,
    5e-324,
    "",
    "with a zero \0 inside",
    "four bytes: \u{1d11e}",
    "x".repeat(large),
    new Uint8Array(),
    Uint8Array.of(0, 255),
    new Uint8Array(large).fill(0xab),
    [],
    [1, ["two", null]],
    Object.create(null),
    new Map([["price", 2.5], [7, [true]]]),
    me.ref,
    new Record([1, "x"]),
    new Tagged(2n ** 64n - 1n, Uint8Array.of(0, 123, 125)),
];

const isSame = (sent, back) => {
    if (sent instanceof Ref) return back instanceof Ref && sent.equals(back);
    // As part of another value it travels as a record.
    if (sent instanceof Tagged && back instanceof Record) return isDeepStrictEqual([sent.tag, sent.content], back.fields);
    return isDeepStrictEqual(sent, back);
};

const askForAll = async (me, path, large) => {
    const wrong = [];
    const to = await me.find(path);
    for (const value of values(me, large)) {
        const text = inspect(value).slice(0, 100);
        try {
            const back = await me.ask(to, new Record([value]), {within: 60_000});
            if (!isSame(value, back)) wrong.push(`${text} came back as ${inspect(back).slice(0, 100)}`);
        } catch (error) {
            wrong.push(`${text}: ${error}`);
        }
    }
    to.close();
    return wrong;
};

await runAsChild(async (me) => {
    for await (const mail of me) {
        if (!mail.isRequest) throw new Error(mail.value);
        const asked = mail.value.fields;
        if (asked.length === 0) mail.reply(process.pid);
        else mail.reply(asked.length === 1 ? asked[0] : await askForAll(me, ...asked));
        mail.close();
    }
});
