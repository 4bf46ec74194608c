// The Node.js binding's side of suite languages; languages.py says what a side does.
const {Node} = await import(process.env.COPPICE_BINDING);

const [what, place, work, seconds] = process.argv.slice(2);
const node = what === "far" ? await Node.begin({name: "far", listen: place})
                            : await Node.join({name: "near", parent: place});
const me = node.actor("end");

if (what === "far") {
    console.log("ready");
    let seen = 0n;
    for await (const mail of me) {
        ++seen;
        const content = mail.value;
        if (content[0]) {
            new DataView(content.buffer, content.byteOffset).setBigUint64(8, seen, true);
            const from = mail.sender;
            me.send(from, content);
            from.close();
            seen = 0n;
        }
        mail.close();
    }
}

const other = await me.find("/far/end");
const empty = new Uint8Array(64);
const wish = new Uint8Array(64);
wish[0] = 1;

async function ask() {
    await me.sendWhenRoom(other, wish, Infinity);
    const mail = await me.receive();
    const content = mail.value;
    mail.close();
    return new DataView(content.buffer, content.byteOffset).getBigUint64(8, true);
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
        for (let i = 0; i < 64; ++i, ++sent) await me.sendWhenRoom(other, empty, Infinity);
    if (await ask() !== BigInt(sent + 1)) throw new Error("messages were lost");
    return sent / ((performance.now() - begun) / 1e3);
}
const play = work === "rtt" ? roundTrips : oneWay;
await play(seconds * 300);
console.log(await play(seconds * 1000));
await node.close();
