// The Node.js binding's side of suite languages; languages.py says what a side does.
import game from "./game.cjs";
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
            const from = mail.sender;
            await me.sendWhenRoom(from, game.answer(content, seen), Infinity);
            from.close();
            seen = 0n;
        }
        mail.close();
    }
}

const other = await me.find("/far/end");
const send = (content = game.empty) => me.sendWhenRoom(other, content, Infinity);

async function ask() {
    await send(game.wish);
    const mail = await me.receive();
    const seen = game.seenIn(mail.value);
    mail.close();
    return seen;
}
await game.play(work, seconds, ask, send);
await node.close();
