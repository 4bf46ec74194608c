// The binding against the library, within one process; as a supervised child it is tested in tests/capi.
import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {readFile} from "node:fs/promises";
import {afterEach, beforeEach, describe, it} from "node:test";
import {setImmediate as turn} from "node:timers/promises";
import {fileURLToPath} from "node:url";
import {promisify} from "node:util";
import vm from "node:vm";

import * as coppice from "coppice";
import {Node, Real, Record, Tagged, typeId} from "coppice";

const within = 60_000; // for what takes no time
const tree = `test-${process.pid}`; // tests run beside others

function bare(object) {
    return Object.assign(Object.create(null), object);
}

const values = [
    null,
    true,
    false,
    0,
    -1,
    2 ** 31,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    2n ** 53n,
    -(2n ** 53n),
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 63n,
    2n ** 64n - 1n,
    -0,
    -1.5,
    NaN,
    Infinity,
    5e-324,
    "",
    "text",
    "with a zero \0 inside",
    "four bytes: \u{1d11e}",
    "\ufeffwith a mark",
    new Uint8Array(0),
    new Uint8Array([0, 255]),
    [],
    [1, [2.5, ["three", null]]],
    bare({}),
    bare({name: "tea", price: [2.5]}),
    new Map([
        ["name", "tea"],
        [7, [new Uint8Array([1])]],
        [null, new Map([[true, false]])],
    ]),
    new Tagged(2n ** 64n - 1n, new Uint8Array([0, 1])),
    new Record([1, "x", [null]]),
    new Record([1], typeId("shop::order")),
];

let node, a, b, toB;

beforeEach(async () => {
    node = await Node.begin({name: tree, logLevel: "off"});
    a = node.actor("a");
    b = node.actor("b");
    toB = await a.find(`/${tree}/b`);
});
afterEach(async () => {
    await node.close();
    for (const one of [toB, a, b]) one.close();
    node = a = b = toB = undefined;
    // What a test has forgotten is closed when it is collected.
    for (let turns = 0; coppice.openHandles() > 0; ++turns) {
        assert.ok(turns < 50, "handles are left open");
        globalThis.gc();
        await turn();
    }
});

/** Lets b answer requests until it ends. */
async function serve(answer) {
    for await (const mail of b) {
        await answer(mail);
        mail.close();
    }
}
async function answerOne(mail) {
    if (mail.value === "fail") mail.fail("it cannot be done");
    else if (mail.value !== "drop") mail.reply([mail.value]);
}

/** Until what was sent before has come to its actor, and the stream's byte for it has been read: the node has one scheduler. To
    close the actor here would put another byte there. */
async function untilHandled() {
    const last = node.actor();
    const to = last.ref;
    const mail = last.receive({within});
    a.send(to, null);
    await mail;
}

describe("values", () => {
    it("arrive as they were sent", async () => {
        for (const value of values) {
            a.send(toB, value);
            const mail = await b.receive({within});
            assert.deepEqual(mail.value, value);
            assert.equal(mail.isRequest, false);
        }
    });
    it("arrive by waiting for room too", async () => {
        for (const value of values) {
            await a.sendWhenRoom(toB, value, within);
            assert.deepEqual((await b.receive({within})).value, value);
        }
    });
    it("arrive within a list", async () => {
        a.send(toB, values.slice(0, -3));
        assert.deepEqual((await b.receive({within})).value, values.slice(0, -3));
    });
    it("that JavaScript has in two forms arrive in one", async () => {
        const all = [
            [undefined, null],
            [5n, 5],
            [1.0, 1],
            [new Real(1), 1],
            [2 ** 53, 2 ** 53],
            [{x: undefined}, bare({x: null})],
            [Buffer.from("ab"), new Uint8Array([97, 98])],
            [new Map([["x", 1]]), bare({x: 1})],
            [vm.runInNewContext("({x: [new Uint8Array([1]), new Map()]})"), bare({x: [new Uint8Array([1]), bare({})]})],
        ];
        for (const [sent, expected] of all) {
            a.send(toB, sent);
            assert.deepEqual((await b.receive({within})).value, expected);
        }
    });
    it("whose key is __proto__ change no prototype", async () => {
        a.send(toB, JSON.parse('{"__proto__": {"isAdmin": true}, "x": 1}'));
        const {value} = await b.receive({within});
        assert.equal(Object.getPrototypeOf(value), null);
        assert.deepEqual(Object.keys(value), ["__proto__", "x"]);
        assert.equal(value.isAdmin, undefined);
        assert.equal(value.constructor, undefined);
    });
    it("of sixteen mebibytes arrive", async () => {
        for (const value of ["x".repeat(16 << 20), new Uint8Array(16 << 20).fill(7)]) {
            a.send(toB, value);
            const mail = await b.receive({within});
            assert.ok(typeof value === "string" ? mail.value === value : Buffer.from(mail.value).equals(value));
            mail.close();
        }
    });
    it("with a ref lead back", async () => {
        a.send(toB, [a.ref]);
        const mail = await b.receive({within});
        assert.ok(mail.value[0].equals(mail.sender));
        assert.ok(!mail.value[0].equals(toB));
        b.send(mail.value[0], "here");
        assert.equal((await a.receive({within})).value, "here");
    });
    it("that cannot be sent are refused and nothing is left", async () => {
        const before = coppice.openHandles();
        const itself = [];
        itself.push(itself);
        const all = [
            [2n ** 64n, RangeError],
            [[1, [-(2n ** 63n) - 1n]], RangeError],
            [new Date(), TypeError],
            [node, TypeError],
            [() => 1, TypeError],
            [Symbol("x"), TypeError],
            [{a: new Set()}, TypeError],
            [new Map([["a", [Symbol("x")]]]), TypeError],
            ["\ud800", TypeError],
            [["\udc00x"], TypeError],
            [new Tagged(-1, new Uint8Array()), RangeError],
            [new Tagged(1, "text"), TypeError],
            [itself, coppice.TooLarge],
        ];
        for (const [value, error] of all) assert.throws(() => a.send(toB, value), error);
        assert.equal(coppice.openHandles(), before);
        await assert.rejects(b.receive({within: 0}), coppice.Timeout);
    });
});

describe("asking", () => {
    it("gives what was replied", async () => {
        const served = serve(answerOne);
        for (const value of values) assert.deepEqual(await a.ask(toB, value, {within}), [value]);
        a.stop(toB);
        await served;
    });
    it("rejects with what it came back with", async () => {
        const served = serve(answerOne);
        const failed = {name: "Failed", code: 18, codeName: "failed", message: "it cannot be done"};
        await assert.rejects(a.ask(toB, "fail", {within}), failed);
        await assert.rejects(a.ask(toB, "drop", {within}), coppice.NoReply);
        a.stop(toB);
        await served;
    });
    it("has a limit", async () => {
        await assert.rejects(a.ask(toB, "nobody receives", {within: 10}), coppice.Timeout);
    });
    it("many at once gives each its own answer", async () => {
        const served = serve(answerOne);
        const answers = await Promise.all(Array.from({length: 300}, (_, i) => a.ask(toB, i, {within})));
        assert.deepEqual(
            answers,
            Array.from({length: 300}, (_, i) => [i]),
        );
        a.stop(toB);
        await served;
    });
    it("is answered also past mail that nobody receives", async () => {
        const served = serve(answerOne);
        const toA = a.ref;
        for (let i = 0; i < 200; ++i) b.send(toA, i);
        await untilHandled();
        assert.deepEqual(await a.ask(toB, "first", {within}), ["first"]);
        for (let i = 0; i < 200; ++i) assert.equal((await a.receive({within})).value, i);
        a.stop(toB);
        await served;
    });
    it("twice from a request is told", async () => {
        const asked = a.ask(toB, 1, {within});
        const mail = await b.receive({within});
        assert.ok(mail.isRequest);
        mail.reply(1);
        assert.throws(() => mail.reply(2), coppice.Closed);
        assert.equal(await asked, 1);
    });
    it("is answered with no_reply for a request that was forgotten", async () => {
        let told;
        const asked = a.ask(toB, 1, {within}).catch((error) => (told = error));
        await b.receive({within});
        while (!told) {
            globalThis.gc();
            await turn();
        }
        await asked;
        assert.ok(told instanceof coppice.NoReply);
    });
});

describe("mail", () => {
    it("comes in order while other events have their turn", async () => {
        const count = 200; // fewer than the library takes from a mailbox ahead, so that all are at hand
        for (let i = 0; i < count; ++i) a.send(toB, i);
        await untilHandled();
        let streak = 0;
        let longest = 0;
        let ends = false;
        const other = (async () => {
            for (; !ends; await turn()) streak = 0;
        })();
        let next = 0;
        for await (const mail of b) {
            assert.equal(mail.value, next);
            mail.close();
            longest = Math.max(longest, ++streak);
            if (++next === count) break;
        }
        ends = true;
        await other;
        assert.ok(longest <= 64, `${longest} mails without a turn for others`);
    });
    it("comes to an actor that only its waiting knows", async () => {
        const comes = node.actor("forgotten").receive();
        const to = await a.find(`/${tree}/forgotten`);
        for (let i = 0; i < 10; ++i) {
            globalThis.gc();
            await turn();
        }
        a.send(to, "still here");
        assert.equal((await comes).value, "still here");
    });
    it("goes to whoever waited first", async () => {
        const all = [b.receive({within}), b.receive(), b.receive({within})];
        for (const i of [0, 1, 2]) a.send(toB, i);
        assert.deepEqual(
            (await Promise.all(all)).map((mail) => mail.value),
            [0, 1, 2],
        );
    });
    it("that does not come is not waited for", async () => {
        await assert.rejects(b.receive({within: 0}), coppice.Timeout);
        await assert.rejects(b.receive({within: 5}), coppice.Timeout);
        await assert.rejects(b.receive({within: NaN}), TypeError);
        a.send(toB, "later");
        assert.equal((await b.receive()).value, "later");
    });
    it("ends with the actor, behind the last", async () => {
        a.send(toB, "the last");
        a.stop(toB);
        const got = [];
        for await (const mail of b) got.push(mail.value);
        assert.deepEqual(got, ["the last"]);
        await assert.rejects(b.receive(), coppice.Stopping);
    });
    it("and answers end with an actor that is killed", async () => {
        const asked = assert.rejects(b.ask(a.ref, "nobody receives", {within: Infinity}), {codeName: "cancelled"});
        a.kill(toB);
        await assert.rejects(b.receive(), coppice.Stopping);
        await asked;
    });
    it("tells the end of who is monitored", async () => {
        const number = a.monitor(toB);
        b.close();
        const mail = await a.receive({within});
        assert.ok(mail.hasEnded);
        assert.equal(mail.number, number);
        assert.match(mail.value, /stopped/);
    });
    it("to a group reaches the others", async () => {
        a.join("news");
        b.join("news");
        assert.equal(a.publish("news", {it: "rains"}), 1);
        assert.deepEqual((await b.receive({within})).value, bare({it: "rains"}));
        b.leave("news");
        assert.equal(a.publish("news", 1), 0);
    });
    it("waits for room and is told that there is none", async () => {
        const small = node.actor("small", {mailbox: 1});
        const to = await a.find(small.path);
        let sent = 0;
        for (;;) {
            try {
                await a.sendWhenRoom(to, sent, 500);
                ++sent;
            } catch (error) {
                assert.ok(error instanceof coppice.Timeout);
                break;
            }
        }
        const last = a.sendWhenRoom(to, "the last");
        for (let i = 0; i < sent; ++i) assert.equal((await small.receive({within})).value, i);
        assert.equal((await small.receive({within})).value, "the last");
        await last;
        small.close();
    });
});

describe("many actors of one process", () => {
    it("wait for each other without a thread for each", async () => {
        // A chain: each passes on what it gets, by a request and by a send that waits for room, to the next.
        const count = 32;
        const chain = Array.from({length: count}, (_, i) => node.actor(`link-${i}`, {mailbox: 1}));
        const refs = chain.map((actor) => actor.ref);
        const run = chain.map(async (actor, i) => {
            for await (const mail of actor) {
                if (mail.isRequest)
                    mail.reply(i + 1 < count ? await actor.ask(refs[i + 1], mail.value + 1, {within}) : mail.value);
                else if (i + 1 < count) await actor.sendWhenRoom(refs[i + 1], mail.value);
                else await actor.sendWhenRoom(toB, mail.value);
                mail.close();
            }
        });
        assert.equal(await a.ask(refs[0], 0, {within}), count - 1);
        const sends = (async () => {
            for (let i = 0; i < 200; ++i) await a.sendWhenRoom(refs[0], i);
        })();
        for (let i = 0; i < 200; ++i) assert.equal((await b.receive({within})).value, i);
        await sends;
        for (const ref of refs) a.stop(ref);
        await Promise.all(run);
        for (const actor of chain) actor.close();
    });
    it("leave the thread pool to others while they wait", async () => {
        const waiting = [];
        const small = node.actor("small", {mailbox: 1});
        const toSmall = small.ref;
        for (let i = 0; i < 16; ++i) {
            waiting.push(node.actor().receive(), a.ask(toSmall, i, {within: Infinity}));
            waiting.push(a.sendWhenRoom(toSmall, i), b.receive());
        }
        const outcomes = Promise.allSettled(waiting);
        assert.ok((await readFile(fileURLToPath(import.meta.url))).length > 0);
        await node.close();
        small.close();
        assert.equal((await outcomes).length, 64);
    });
});

describe("names", () => {
    it("are found also by an actor with mail that nobody looks at", async () => {
        // Its byte is read, and no other comes.
        b.send(a.ref, "unread");
        for (let i = 0; i < 5; ++i) {
            const comes = b.receive({within});
            a.send(toB, i);
            await comes;
        }
        assert.ok((await a.find(`/${tree}/b`)).equals(toB));
    });
    it("are taken once and found only where somebody has them", async () => {
        assert.throws(() => node.actor("a"), {name: "NameTaken", code: 11});
        await assert.rejects(a.find(`/${tree}/nobody`), {name: "NotFound", code: 10, message: /\/nobody/});
        await assert.rejects(a.find("/elsewhere/nobody"), coppice.Unreachable);
        assert.equal(a.path, `/${tree}/a`);
        assert.equal(String(toB), `/${tree}/b`);
    });
    it("of trees that do not run are told, with those that do", async () => {
        await assert.rejects(Node.join({tree: "a-tree-that-does-not-run"}), {
            name: "NotFound",
            message: /no tree named a-tree-that-does-not-run/,
        });
        await assert.rejects(Node.join({}), TypeError);
    });
    it("with a zero are refused", async () => {
        await assert.rejects(a.find("/test\0/a"), TypeError);
    });
});

describe("handles", () => {
    it("that were closed are told as such", async () => {
        const c = node.actor("c");
        const waits = assert.rejects(c.receive(), coppice.Stopping);
        const loop = (async () => {
            for await (const mail of c) assert.fail(mail.value);
        })();
        c.close();
        c.close();
        await waits;
        await loop;
        assert.throws(() => c.send(toB, 1), coppice.Closed);
        await assert.rejects(c.receive(), coppice.Closed);
        await assert.rejects(c.ask(toB), coppice.Closed);
        const ref = a.ref;
        ref.close();
        assert.throws(() => a.send(ref, 1), coppice.Closed);
    });
    it("of another kind are refused", () => {
        assert.throws(() => a.send(b, 1), TypeError);
        assert.throws(() => a.send("/test/b", 1), TypeError);
        assert.throws(() => new Node(), TypeError);
    });
    it("of a node that was closed are told as such", async () => {
        const waits = [assert.rejects(b.receive(), coppice.Stopping), assert.rejects(a.ask(toB, 1), coppice.Stopping)];
        await Promise.all([node.close(), node.close()]);
        await Promise.all(waits);
        assert.throws(() => a.send(toB, 1), coppice.Stopping);
        await assert.rejects(b.receive(), coppice.Stopping);
        assert.throws(() => node.actor("late"), coppice.CoppiceError);
    });
    it("are closed by who leaves their scope", {skip: !Symbol.dispose && "this Node.js has no Symbol.dispose"}, async () => {
        const c = node.actor("c");
        c[Symbol.dispose]();
        node.actor("c").close();
        const other = await Node.begin({logLevel: "off"});
        await other[Symbol.asyncDispose]();
    });
});

const run = promisify(execFile);
const example = (name) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

describe("programs", () => {
    it("of the examples say hello and are told the price", async () => {
        const name = `market-${process.pid}`;
        const market = await Node.begin({name, logLevel: "off"});
        const shop = market.actor("shop");
        const program = run(process.execPath, [example("hello.js"), name, shop.path]);
        assert.equal((await shop.receive({within})).value, "hello");
        const question = await shop.receive({within});
        assert.deepEqual(question.value, bare({"price of": "tea"}));
        question.reply(2.5);
        assert.equal((await program).stdout, "2.5\n");
        await market.close();
        shop.close();
    });
    it("that nobody started are no child", async () => {
        assert.equal(coppice.isChild(), false);
        await assert.rejects(
            coppice.runAsChild(async () => {}),
            {name: "NotFound", message: /not started by a supervisor/},
        );
    });
    it("stay alive while a node is open and end with the last", async () => {
        const script = `
            import {Node} from "coppice";
            const node = await Node.begin({logLevel: "off"});
            const other = await Node.begin({logLevel: "off"});
            process.on("exit", (code) => console.log("ended", code));
            const me = node.actor();
            me.receive().then((mail) => { console.log(mail.value); node.close(); other.close(); });
            const you = other.actor();
            setImmediate(() => me.send(me.ref, "alive"));`;
        const cwd = fileURLToPath(new URL("..", import.meta.url));
        const {stdout} = await run(process.execPath, ["--input-type=module", "--eval", script], {cwd});
        assert.equal(stdout, "alive\nended 0\n");
    });
    it("that end in the middle end", async () => {
        const script = `
            import {Node} from "coppice";
            const node = await Node.begin({logLevel: "off"});
            node.actor().receive();
            process.exit(3);`;
        const cwd = fileURLToPath(new URL("..", import.meta.url));
        await assert.rejects(run(process.execPath, ["--input-type=module", "--eval", script], {cwd}), {code: 3});
    });
});
