// A stock WebSocket client, npm's ws, against a gateway that echoes: node stock_client.mjs PORT
//
// Handshake, subprotocol, compression offered, texts, bytes, fragments, ping, both closes, and an origin that is not let in. Prints
// "ok"; else the exception, and exit status 1. Exit status 77: the package is not installed.
import assert from 'node:assert/strict';
import { once } from 'node:events';

const { WebSocket } = await import('ws').catch(() => process.exit(77));
const url = `ws://127.0.0.1:${process.argv[2]}`;

async function opened(path, subprotocols, options) {
    const socket = new WebSocket(url + path, subprotocols, options);
    await once(socket, 'open');
    return socket;
}

async function echo(socket, parts, binary) {
    const whole = Buffer.concat(parts.map((part) => Buffer.from(part)));
    const came = once(socket, 'message');
    parts.forEach((part, i) => socket.send(part, { fin: i === parts.length - 1, binary }));
    const [back, isBinary] = await came;
    assert.equal(isBinary, binary);
    assert.ok(back.equals(whole), `${back.length} bytes came back, not the ${whole.length} that were sent`);
}

const talk = await opened('/talk', ['two', 'one'], { perMessageDeflate: true });
assert.equal(talk.protocol, 'one');
for (const text of ['', 'hello', 'Grüße 🌳', 'y'.repeat(900_000)]) await echo(talk, [text], false);
for (const bytes of [Buffer.alloc(0), Buffer.from(Uint8Array.from({ length: 76_800 }, (_, i) => i))]) await echo(talk, [bytes], true);
await echo(talk, ['one ', '', 'two ', 'three'], false);
await echo(talk, [Buffer.of(0), Buffer.of(255)], true);
const pong = once(talk, 'pong');
talk.ping('are you there?');
assert.equal((await pong)[0].toString(), 'are you there?');
const closed = once(talk, 'close');
talk.send('close me');
const [code, reason] = await closed;
assert.deepEqual([code, reason.toString()], [4001, 'as you wish']);

const polite = await opened('/polite');
const left = once(polite, 'close');
polite.close(4444, 'from Node');
assert.equal((await left)[0], 4444);

const stranger = new WebSocket(`${url}/stranger`, { origin: 'https://evil.example' });
const [refused] = await once(stranger, 'error');
assert.match(refused.message, /403/);
console.log('ok');
