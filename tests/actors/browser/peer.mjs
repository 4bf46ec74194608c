// A page's part in the scenes of tests/actors/browser_test.cpp: node peer.mjs SCENE URL [words]. Exit status 0: all was as it should
// be; else what was not stands on standard error.
import assert from "node:assert/strict";

import {Closed, connect, CoppiceError, Real, Record} from "../../../framework/bindings/browser/dist/index.js";

const [scene, url, ...words] = process.argv.slice(2);
const quick = {retryFirst: 5, retryMost: 50, connectWithin: 60_000, ...(words.includes("pinging") ? {pingAfter: 50} : {})};
const minute = {within: 60_000};

const refusal = (codeName) => (error) => {
    assert.ok(error instanceof CoppiceError, String(error));
    assert.equal(error.codeName, codeName, error.message);
    return true;
};

const scenes = {
    async values() {
        const me = await connect(url, quick);
        const bytes = new Uint8Array(1 << 20).map((_, i) => i * 31);
        const plain = Object.assign(Object.create(null), {a: 1, b: [null, true], "": Object.create(null)});
        for (const value of [
            null, true, false, 0, 1, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n,
            0.5, -0, NaN, Infinity, -Infinity, Number.MIN_VALUE, "", "with a zero \0 inside", "four bytes: \u{1d11e}",
            new Uint8Array(0), bytes, [], [1, [2, ["three"]]], new Map([[1, 2], ["x", plain]]), plain,
            new Record([7, "seven", new Record([])]),
        ])
            assert.deepEqual(await me.ask("/app/echo", value, minute), value);
        assert.equal(await me.ask("/app/echo", new Real(3), minute), 3);
        assert.equal(await me.ask("/app/echo", undefined, minute), null);
        assert.equal(await me.ask("/app/echo", 5n, minute), 5);
        await me.send("/app/judge", -(2n ** 63n));
        for (const bad of [() => {}, Symbol("x"), new Date(), "\ud800", 2n ** 64n]) await assert.rejects(me.send("/app/judge", bad));
        await assert.rejects(me.send("/app/judge", new Uint8Array(3 << 20)), refusal("too_large"));
        let deep = 1;
        for (let i = 0; i < 33; ++i) deep = [deep];
        await assert.rejects(me.send("/app/judge", deep), refusal("too_large"));
        await me.send("/app/judge", "done");
        await me.close();
    },

    async asks() {
        const me = await connect(url, {...quick, name: "ann"});
        assert.equal(me.path, "/app/browsers/ann");
        const echo = await me.find("/app/echo");
        assert.deepEqual(await me.ask(echo, ["tea", 2]), ["tea", 2]);
        await assert.rejects(me.ask(echo, "fail"), /no tea today/);
        const before = Date.now();
        await assert.rejects(me.ask(echo, "ignore", {within: 100}), refusal("timeout"));
        assert.ok(Date.now() - before >= 99);
        const aborter = new AbortController();
        const aborted = me.ask(echo, "ignore", {signal: aborter.signal});
        aborter.abort(new Error("not any more"));
        await assert.rejects(aborted, /not any more/);
        await assert.rejects(me.receive({within: 20}), refusal("timeout"));
        await me.send("/app/judge", "ready");
        for await (const mail of me) {
            if (!mail.isRequest) {
                assert.equal(mail.value, "over");
                break;
            }
            if (mail.value === "refuse me") mail.fail("as you wish");
            else mail.reply({got: mail.value});
            assert.throws(() => mail.reply(1), refusal("closed"));
        }
        await me.close();
        await assert.rejects(me.receive(), refusal("closed"));
        await assert.rejects(me.send(echo, 1), (error) => error instanceof Closed);
    },

    async groups() {
        const me = await connect(url, quick);
        await me.join("news");
        await me.join("talk");
        await me.send("/app/judge", "joined");
        assert.equal((await me.receive(minute)).value, "from the judge");
        assert.equal(await me.publish("talk", {all: "hear"}), 1); // the judge; not itself
        await me.leave("news");
        await me.send("/app/judge", "left");
        assert.equal((await me.receive(minute)).value, "behind it");
        await me.close();
    },

    async monitors() {
        const me = await connect(url, quick);
        const mortal = await me.find("/app/mortal");
        const first = await me.monitor(mortal);
        const second = await me.monitor("/app/mortal");
        me.demonitor(second);
        await me.send(mortal, "end");
        const mail = await me.receive(minute);
        assert.ok(mail.hasEnded && mail.number === first && mail.sender.equals(mortal), String(mail.number));
        assert.equal(mail.end, "normal");
        const late = await me.monitor(mortal);
        const none = await me.receive(minute);
        assert.deepEqual([none.number, none.end], [late, "no_actor"]);
        await assert.rejects(me.send(mortal, 1), refusal("down"));
        await assert.rejects(me.ask(mortal, 1), refusal("down"));
        await me.close();
    },

    // What the role of the token lets it do, and what it does not.
    async kiosk() {
        const me = await connect(`${url}?token=${words[0]}`, quick);
        const denied = (rule) => (error) => refusal("denied")(error) && (assert.ok(error.message.includes(rule), error.message), true);
        assert.equal(await me.ask("/app/echo", "tea"), "tea");
        await me.send("/app/judge", "hello");
        await me.join("talk");
        await assert.rejects(me.ask("/app/judge", "tea"), denied("token:kiosk: role kiosk may never ask /app/judge"));
        await assert.rejects(me.monitor("/app/echo"), denied("no rule of who is role kiosk allows to monitor /app/echo"));
        await assert.rejects(me.find("/app/mortal"), denied("allows to inspect /app/mortal"));
        await assert.rejects(me.join("news"), denied("allows to join news"));
        await assert.rejects(me.publish("talk", 1), denied("allows to publish talk"));
        // The host's lists allow nothing that they do not name, whatever the role does.
        await assert.rejects(me.find("/elsewhere/echo"), denied("host_options::reach"));
        await me.send("/app/judge", "done");
        await me.close();
    },

    // Nobody that a role knows may do anything.
    async unknown() {
        const me = await connect(words.length ? `${url}?token=${words[0]}` : url, quick);
        for (const attempt of [() => me.find("/app/echo"), () => me.join("talk"), () => me.publish("talk", 1)])
            await assert.rejects(attempt(), refusal("denied"));
        await me.close();
    },

    // By default a page may do nothing.
    async refusals() {
        await assert.rejects(connect(url, {...quick, name: "ann"}), refusal("name_refused"));
        const me = await connect(url, quick);
        assert.match(me.path, /^\/app\/browsers\/\d+$/);
        for (const attempt of [
            () => me.find("/app/judge"), () => me.send("/app/judge", 1), () => me.ask("/app/judge", 1),
            () => me.find("tcp://127.0.0.1:1#/app/judge"), () => me.join("news"), () => me.publish("news", 1),
            () => me.monitor("/app/judge"),
        ])
            await assert.rejects(attempt(), refusal("denied"));
        // It is asked, and answers; to whom it was asked by it may say nothing else.
        const mail = await me.receive(minute);
        await assert.rejects(me.send(mail.sender, 1), refusal("denied"));
        await assert.rejects(me.monitor(mail.sender), refusal("denied"));
        mail.reply("heard");
        await me.close();
    },

    async names() {
        const ann = await connect(url, {...quick, name: "ann"});
        await assert.rejects(connect(url, {...quick, name: "ann"}), refusal("name_taken"));
        await assert.rejects(connect(url, {...quick, name: "a/b"}), refusal("name_refused"));
        await assert.rejects(connect(url, {...quick, token: "0".repeat(32)}), {name: "SessionUnknown"});
        await assert.rejects(connect(url, {...quick, token: "no token"}), refusal("invalid_argument"));
        await assert.rejects(connect("ws://127.0.0.1:1/", {...quick, connectWithin: 1}), refusal("unreachable"));
        await assert.rejects(connect(url, {signal: AbortSignal.abort(new Error("no"))}), /no/);
        await ann.close();
        const again = await connect(url, {...quick, name: "ann"}); // free as soon as it is closed
        await again.close();
    },

    // Numbers from 1 on, both ways, and asks both ways, until the other side says "last".
    async stream() {
        const me = await connect(url, {...quick, name: "ann", queueBytes: 1 << 20});
        let reconnects = 0;
        me.addEventListener("state", (event) => (reconnects += event.detail === "open"));
        me.addEventListener("lost", () => assert.fail("the session was lost"));
        const judge = await me.find("/app/judge", minute);
        const echo = await me.find("/app/echo", minute);
        await me.send(judge, "ready");
        let expected = 0;
        let isOver = false;
        let sent = 0;
        const underWay = new Set();
        const sender = (async () => {
            while (!isOver) {
                const number = ++sent;
                const one = me.sendWhenRoom(judge, {number, filler: "x".repeat((number * 37) % 3000)});
                underWay.add(one);
                one.then(() => underWay.delete(one), fail);
                if (underWay.size >= 50) await Promise.race(underWay);
                if (number % 16 === 0) assert.equal(await me.ask(echo, number, minute), number);
            }
        })();
        sender.catch((error) => fail(error));
        for await (const mail of me) {
            if (mail.isRequest) {
                mail.reply(mail.value);
            } else if (mail.value === "last") {
                break;
            } else {
                assert.equal(mail.value, ++expected);
            }
        }
        isOver = true;
        await sender;
        await Promise.all(underWay);
        await me.ask(judge, "all of mine is there", minute);
        await me.send(judge, {got: expected, sent, reconnects});
        await me.close();
    },

    // It is away for longer than it is held.
    async expires() {
        const me = await connect(url, {...quick, name: "ann", renew: words.includes("renew")});
        const ask = me.ask("/app/echo", "ignore", minute);
        // It may be cut before it hears that this was taken.
        me.send("/app/judge", "ready").catch(refusal("outcome_unknown"));
        const lost = new Promise((resolve) => me.addEventListener("lost", (event) => resolve(event.detail)));
        await assert.rejects(ask, refusal("outcome_unknown"));
        const {incarnation} = await lost;
        assert.equal(incarnation, 2);
        if (words.includes("renew")) {
            await me.send("/app/judge", "back");
            assert.equal(me.incarnation, 2);
            await me.close();
        } else {
            assert.equal(me.state, "closed");
            await assert.rejects(me.receive(), {name: "SessionUnknown"});
        }
        await connect(url, {...quick, name: "over"}).then((peer) => peer.send("/app/judge", "over").then(() => peer.close()));
    },

    async vanishes() {
        const me = await connect(url, {...quick, name: "ann"});
        await me.send("/app/judge", "ready");
        await me.receive(minute); // the request; it is never answered
        await me.send("/app/judge", "has it");
        await me.receive({}); // until the test ends this process
    },

    async takeover() {
        const first = await connect(url, {...quick, name: "ann"});
        const closed = new Promise((resolve) => first.addEventListener("close", (event) => resolve(event.detail)));
        await first.join("news");
        await first.send("/app/judge", "ready");
        await first.send("/app/judge", "sent twice?");
        const second = await connect(url, {...quick, token: first.token});
        assert.match((await closed).message, /another connection/);
        assert.equal(first.state, "closed");
        assert.equal(second.path, first.path);
        await second.send("/app/judge", "second");
        assert.equal((await second.receive(minute)).value, "to the second");
        await second.close();
    },

    // It takes nothing until it is told to; what waits for it is bounded.
    async lazy() {
        const me = await connect(url, {...quick, name: "ann"});
        await me.send("/app/judge", "ready");
        // Answers pass by the mail that waits.
        while ((await me.ask("/app/echo", "full?", minute)) !== null && me.waiting < Number(words[0]));
        assert.equal(me.waiting, Number(words[0]));
        await me.send("/app/judge", "full");
        for (let expected = 0; ; ) {
            const {value} = await me.receive(minute);
            if (value === "last") break;
            assert.equal(value, ++expected);
        }
        await me.close();
    },

    // The host does not take what it sends: the connection is held up, not cut. Another one tells how far it is.
    async flood() {
        const signal = await connect(words[0], {...quick, name: "signal"});
        const me = await connect(url, {...quick, pingAfter: 3_600_000, queueBytes: 100_000});
        const judge = await me.find("/app/judge");
        await signal.send("/app/judge", "ready");
        await signal.receive(minute);
        const turn = () => new Promise((resolve) => setImmediate(() => resolve(false)));
        const accepted = [];
        for (;;) {
            const one = me.send(judge, {number: accepted.length + 1, filler: "x".repeat(5_000)});
            const isFull = one.then(() => false, (error) => refusal("mailbox_full")(error));
            if (await Promise.race([isFull, turn()])) break;
            accepted.push(one);
        }
        assert.ok(accepted.length >= 19, String(accepted.length));
        const late = me.sendWhenRoom(judge, "behind them", minute);
        await assert.rejects(me.sendWhenRoom(judge, "too late", {within: 20}), refusal("timeout"));
        await signal.send("/app/judge", "full");
        await Promise.all(accepted);
        await late;
        await me.close();
        await signal.close();
    },

    // Its connection is a black hole: nothing ends it but the page itself.
    async silence() {
        const me = await connect(url, {...quick, name: "ann"});
        const states = [];
        me.addEventListener("state", (event) => states.push(event.detail));
        await me.send("/app/judge", "ready");
        assert.equal((await me.receive(minute)).value, "while it was silent");
        assert.deepEqual(states.slice(0, 2), ["waiting", "open"]);
        await me.close();
    },

    async stopped() {
        const me = await connect(url, {...quick, name: "ann"});
        const closed = new Promise((resolve) => me.addEventListener("close", (event) => resolve(event.detail)));
        await me.send("/app/judge", "ready");
        for await (const mail of me) assert.fail(String(mail.value));
        refusal("stopping")(await closed);
        await assert.rejects(me.send("/app/judge", 1), refusal("stopping"));
    },
};

function fail(error) {
    console.error(`${scene}: ${error?.stack ?? error}`);
    process.exit(1);
}
scenes[scene]().then(() => process.exit(0), fail);
