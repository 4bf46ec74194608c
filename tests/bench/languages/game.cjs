// The near side's game of suite languages in Node.js, the same over whatever carries it; languages.py says what is
// played. One thread.
"use strict";

const empty = Buffer.alloc(64);
const wish = Buffer.alloc(64);
wish[0] = 1;

/** Makes of a wish, in place, what the far side answers: how many have come since its last answer. */
function answer(content, seen) {
    Buffer.from(content.buffer, content.byteOffset, content.length).writeBigUInt64LE(seen, 8);
    return content;
}
function seenIn(content) {
    return Buffer.from(content.buffer, content.byteOffset, content.length).readBigUInt64LE(8);
}

async function roundTrips(length, ask) {
    const samples = [];
    let last = performance.now();
    const end = last + length;
    while (last < end) {
        await ask();
        const now = performance.now();
        samples.push(now - last);
        last = now;
    }
    samples.sort((a, b) => a - b);
    return samples[samples.length >> 1] * 1e3;
}
async function oneWay(length, ask, send) {
    let sent = 0;
    const begun = performance.now();
    while (performance.now() < begun + length)
        for (let i = 0; i < 64; ++i, ++sent) await send();
    if (await ask() !== BigInt(sent + 1)) throw new Error("messages were lost");
    return sent / ((performance.now() - begun) / 1e3);
}
/** Prints the figure of `work`. `ask` sends the wish and gives what its answer has seen, `send` sends the empty one. */
async function play(work, seconds, ask, send) {
    const once = (length) => work === "rtt" ? roundTrips(length, ask) : oneWay(length, ask, send);
    await once(seconds * 300);
    console.log(await once(seconds * 1000));
}

module.exports = {empty, wish, answer, seenIn, play};
