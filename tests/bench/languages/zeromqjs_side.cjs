// zeromq.js's side of suite languages: sockets of type Pair; languages.py says what a side does.
"use strict";
const {Pair} = require("zeromq");
const game = require("./game.cjs");

const [what, place, work, seconds] = process.argv.slice(2);
const socket = new Pair();

async function far() {
    await socket.bind(place);
    console.log("ready");
    let seen = 0n;
    for await (const [content] of socket) {
        ++seen;
        if (!content[0]) continue;
        await socket.send(game.answer(content, seen));
        seen = 0n;
    }
}
async function ask() {
    await socket.send(game.wish);
    const [content] = await socket.receive();
    return game.seenIn(content);
}
async function near() {
    socket.connect(place);
    await game.play(work, seconds, ask, () => socket.send(game.empty));
    process.exit(0);
}
(what === "far" ? far() : near()).catch((failure) => {
    console.error(failure);
    process.exit(1);
});
