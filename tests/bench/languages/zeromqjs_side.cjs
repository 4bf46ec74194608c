// zeromq.js's side of suite languages: sockets of type Pair; languages.py says what a side does.
const {Pair} = require("zeromq");

const [what, place, work, seconds] = process.argv.slice(2);
const socket = new Pair();
const empty = Buffer.alloc(64);
const wish = Buffer.alloc(64);
wish[0] = 1;

async function far() {
    await socket.bind(place);
    console.log("ready");
    let seen = 0n;
    for await (const [content] of socket) {
        ++seen;
        if (!content[0]) continue;
        content.writeBigUInt64LE(seen, 8);
        await socket.send(content);
        seen = 0n;
    }
}
async function ask() {
    await socket.send(wish);
    const [content] = await socket.receive();
    return content.readBigUInt64LE(8);
}
async function roundTrips(length) {
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
async function oneWay(length) {
    let sent = 0;
    const begun = performance.now();
    while (performance.now() < begun + length)
        for (let i = 0; i < 64; ++i, ++sent) await socket.send(empty);
    if (await ask() !== BigInt(sent + 1)) throw new Error("messages were lost");
    return sent / ((performance.now() - begun) / 1e3);
}
async function near() {
    socket.connect(place);
    const play = work === "rtt" ? roundTrips : oneWay;
    await play(seconds * 300);
    console.log(await play(seconds * 1000));
    process.exit(0);
}
(what === "far" ? far() : near()).catch((failure) => {
    console.error(failure);
    process.exit(1);
});
