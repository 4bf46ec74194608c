// Nodes, actors and mail. The event loop's thread.
//
//     library's threads                  event loop
//     ┌───────────────┐   one byte   ┌────────┐  drain   ┌───────┐  receive(), for await
//     │ inbox of each │─────────────►│ Stream │─────────►│ Inbox │  ask(), find(), sendWhenRoom()
//     │ actor         │  by a socket └────────┘          └───────┘
//     └───────────────┘
//
// A node has one socket for all its actors, which libuv watches: waiting takes no thread. What is asked for, looked for, or sent when
// there is room, comes back as an answer with a number. Mail stays in the library until somebody receives it, so a mailbox's bound
// holds. Only the opening and closing of nodes runs on libuv's thread pool.
import net from "node:net";
import {types} from "node:util";

import {
    call,
    callAway,
    check,
    codes,
    copied,
    decoded,
    encoded,
    errorOf,
    FOREVER,
    functions,
    made,
    milliseconds,
    nameArgument,
    openHandles as handles,
    sizes,
    Stopping,
} from "./abi.js";
import {Handle, handleOf, held, isInteger, read, Ref, withValue} from "./values.js";
import {mailSeen, receive, valueSeen, whatIsSeen} from "./view.js";

const REQUEST = 2;
const ANSWER = 3;
const ENDED = 4;
const LEVELS = {trace: 1, debug: 2, info: 3, warn: 4, error: 5, off: 6};
const MOST_AT_ONCE = 64; // mails that are taken before other events have their turn

/** What an actor has received. A request that is closed without a reply is answered with `no_reply`. */
export class Mail extends Handle {
    #kind;
    #value;
    #read;

    constructor(handle, kind, valueSeen) {
        super(handle);
        this.#kind = kind;
        this.#read = valueSeen ?? valueIn;
    }
    get value() {
        if (this.#read) {
            this.#value = this.#read(handleOf(this, Mail, "the mail"));
            this.#read = undefined;
        }
        return this.#value;
    }
    get isRequest() {
        return this.#kind === REQUEST;
    }
    get hasEnded() {
        return this.#kind === ENDED;
    }
    get number() {
        return made("mail_number", handleOf(this, Mail, "the mail"));
    }
    get sender() {
        const out = [0];
        const code = functions.mail_sender(handleOf(this, Mail, "the mail"), out);
        if (code === 10) return null; // nobody says so
        check(code);
        return new Ref(out[0]);
    }
    reply(value) {
        const request = handleOf(this, Mail, "the mail");
        withValue(value, (handle) => call("reply", request, handle));
    }
    fail(text) {
        const words = encoded(String(text));
        call("fail", handleOf(this, Mail, "the mail"), words, words.length);
    }
}

const valueIn = (mail) => read(mail);
const senderOf = (mail) => new Ref(made("mail_sender", mail));

// Who waits for mail of an actor, and for its answers. Knows the actor by its handle, so that one that is forgotten can be collected.
class Inbox {
    #handle;
    #stream;
    #receivers = [];
    #answers = new Map();
    #taken = 0;
    #end = null; // why nothing comes any more

    constructor(handle, stream) {
        this.#handle = handle;
        this.#stream = stream;
    }

    /** `actor` is kept from being collected meanwhile. */
    receive(actor, within) {
        if (this.#end) throw this.#end;
        return new Promise((resolve, reject) => {
            const receiver = {resolve, reject, actor, timer: undefined};
            const looks = this.#receivers.push(receiver) === 1 && this.#taken < MOST_AT_ONCE;
            if (looks) this.drain();
            else this.#stream.drainSoon(this);
            if (this.#receivers.at(-1) !== receiver) return;
            this.#tell();
            if (within === 0 && looks) this.#giveUp(receiver);
            else if (within === 0) setImmediate(() => this.#giveUp(receiver)); // behind the look that comes soon
            else if (within !== FOREVER) this.#limit(receiver, performance.now() + within);
        });
    }

    /** What `read` finds in it; it is closed then. */
    answer(actor, number, read) {
        if (this.#end) throw this.#end;
        return new Promise((resolve, reject) => {
            this.#answers.set(number, {resolve, reject, actor, read});
            // While nobody waited, nobody looked, and what has been told of once is not told of again.
            if (this.#tell()) this.drain();
        });
    }

    /** Hands what is there to who waits for it. */
    drain() {
        while (this.#answers.size > 0 && this.#takeAnswer());
        while (this.#receivers.length > 0 && this.#taken < MOST_AT_ONCE && this.#take());
        if (this.#taken >= MOST_AT_ONCE) this.#stream.drainSoon(this);
        this.#tell();
    }

    /** Other events have had their turn. */
    rest() {
        this.#taken = 0;
    }

    /** The program has given the actor back. */
    end(error) {
        if (this.#end) return;
        this.#end = error;
        const waiting = [...this.#receivers, ...this.#answers.values()];
        this.#receivers = [];
        this.#answers.clear();
        for (const one of waiting) {
            clearTimeout(one.timer);
            one.reject(error);
        }
        this.#stream.forget(this);
    }

    // Both false: there is none.

    #takeAnswer() {
        if (this.#end) return false;
        const out = [0];
        const code = functions.receive_answer(this.#handle, 0, out);
        if (code === 0) this.#settle(out[0]);
        // STOPPING says no more than that there is none.
        else if (code !== codes.TIMEOUT && code !== codes.STOPPING) this.#refuse(code);
        return code === 0;
    }

    #take() {
        if (this.#end) return false;
        const code = receive(this.#handle);
        if (code === 0) this.#give(mailSeen(), whatIsSeen());
        else if (code !== codes.TIMEOUT) this.#refuse(code);
        return code === 0;
    }

    #give(mail, kind) {
        if (kind === ANSWER) return this.#settle(mail);
        ++this.#taken;
        const {resolve, timer} = this.#receivers.shift();
        clearTimeout(timer);
        resolve(new Mail(mail, kind, valueSeen()));
    }

    #refuse(code) {
        let error;
        try {
            check(code);
        } catch (told) {
            error = told;
        }
        for (const {reject, timer} of this.#receivers.splice(0)) {
            clearTimeout(timer);
            reject(error);
        }
    }

    #settle(mail) {
        try {
            const number = made("mail_number", mail);
            const waiting = this.#answers.get(number);
            if (!waiting) return;
            this.#answers.delete(number);
            try {
                const code = made("mail_code", mail);
                if (code === 0) waiting.resolve(waiting.read?.(mail));
                else waiting.reject(errorOf(code, valueIn(mail)));
            } catch (error) {
                waiting.reject(error); // a value that cannot be read
            }
        } finally {
            functions.close(mail);
        }
    }

    // setTimeout takes no more than 2^31 - 1 ms.
    #limit(receiver, until) {
        const left = until - performance.now();
        if (left <= 0) this.#giveUp(receiver);
        else receiver.timer = setTimeout(() => this.#limit(receiver, until), Math.min(Math.ceil(left), 2 ** 31 - 1));
    }

    #giveUp(receiver) {
        const at = this.#receivers.indexOf(receiver);
        if (at < 0) return;
        this.#receivers.splice(at, 1);
        receiver.reject(errorOf(codes.TIMEOUT, "there is no mail in time"));
        this.#tell();
    }

    // True if it is watched from now on, and was not.
    #tell() {
        if (this.#receivers.length > 0 || this.#answers.size > 0) return this.#stream.watch(this);
        this.#stream.forget(this);
        return false;
    }
}

// A node's socket, and who is to be told when it has a byte. It keeps the process alive while the node is open.
class Stream {
    #socket;
    #watching = new Set();
    #soon = new Set();

    constructor(node) {
        const out = [-1];
        call("stream", node, out);
        this.#socket = new net.Socket({fd: out[0], readable: true, writable: false});
        this.#socket.on("data", () => this.#drain(this.#watching));
        this.#socket.on("error", (error) => {
            for (const inbox of [...this.#watching]) inbox.end(error);
        });
    }
    /** True if it was not watched. */
    watch(inbox) {
        const before = this.#watching.size;
        return this.#watching.add(inbox).size > before;
    }
    forget(inbox) {
        this.#watching.delete(inbox);
    }
    /** After other events. */
    drainSoon(inbox) {
        if (this.#soon.size === 0)
            setImmediate(() => {
                const all = [...this.#soon];
                this.#soon.clear();
                for (const one of all) one.rest();
                this.#drain(all);
            });
        this.#soon.add(inbox);
    }
    close() {
        this.#socket.destroy();
    }
    #drain(inboxes) {
        for (const inbox of [...inboxes]) inbox.drain();
    }
}

const forgottenActors = new FinalizationRegistry(({inboxes, inbox}) => inboxes.delete(inbox));
const closedHere = () => errorOf(codes.STOPPING, "the actor was closed while this was waited for");

/** A mailbox of this process, with a name in the tree. Iterated, it gives its mail until it is asked to end. */
export class Actor extends Handle {
    #inbox;
    #inboxes;
    #waiting = 0;  // messages that wait for room

    constructor(handle, stream, inboxes) {
        super(handle);
        this.#inbox = new Inbox(handle, stream);
        this.#inboxes = inboxes;
        inboxes.set(this.#inbox, handle);
        forgottenActors.register(this, {inboxes, inbox: this.#inbox}, this);
    }

    get path() {
        const at = [null];
        const size = [0];
        call("path", this.#open(), at, size);
        return decoded(copied(at[0], size[0]));
    }
    get ref() {
        return new Ref(made("self", this.#open()));
    }

    // ---- others

    async find(path) {
        return this.#inbox.answer(this, made("find_later", this.#open(), nameArgument(path)), senderOf);
    }

    send(to, value) {
        const from = this.#open();
        const ref = handleOf(to, Ref, "the receiver");
        if (typeof value === "string") {
            const text = encoded(value);
            call("send_text", from, ref, text, text.length);
        } else if (isInteger(value)) call("send_int64", from, ref, value);
        else if (typeof value === "number") call("send_double", from, ref, value);
        else if (typeof value === "boolean") call("send_bool", from, ref, value ? 1 : 0);
        else if (value === undefined || value === null) call("send_nothing", from, ref);
        else if (types.isUint8Array(value)) call("send_bytes", from, ref, value, value.length);
        else withValue(value, (handle) => call("send", from, ref, handle, 0));
    }

    async sendWhenRoom(to, value, within = Infinity) {
        const from = this.#open();
        const ref = handleOf(to, Ref, "the receiver");
        const limit = milliseconds(within);
        if (!this.#waiting) {  // else it would overtake those
            try {
                return this.send(to, value);
            } catch (failure) {
                if (failure.codeName !== "mailbox_full") throw failure;
            }
        }
        ++this.#waiting;
        try {
            await this.#inbox.answer(this, withValue(value, (handle) => made("send_later", from, ref, handle, limit)));
        } finally {
            --this.#waiting;
        }
    }

    async ask(to, value, {within = 5000} = {}) {
        const from = this.#open();
        const ref = handleOf(to, Ref, "the receiver");
        const limit = milliseconds(within);
        const number = withValue(value, (handle) => made("ask_later", from, ref, handle, limit));
        return this.#inbox.answer(this, number, valueIn);
    }

    stop(who) {
        call("stop", this.#open(), handleOf(who, Ref, "the actor"));
    }
    shutdown(who, within = 5000) {
        call("shutdown", this.#open(), handleOf(who, Ref, "the actor"), milliseconds(within));
    }
    kill(who) {
        call("kill", this.#open(), handleOf(who, Ref, "the actor"));
    }
    monitor(who) {
        return made("monitor", this.#open(), handleOf(who, Ref, "the actor"));
    }
    demonitor(number) {
        call("forget_monitor", this.#open(), number);
    }

    // ---- mail

    async receive({within = Infinity} = {}) {
        this.#open();
        return this.#inbox.receive(this, milliseconds(within));
    }

    async *[Symbol.asyncIterator]() {
        for (;;) {
            let mail;
            try {
                mail = await this.receive();
            } catch (error) {
                if (error instanceof Stopping) return;
                throw error;
            }
            yield mail;
        }
    }

    // ---- groups

    join(group) {
        call("join", this.#open(), nameArgument(group));
    }
    leave(group) {
        call("leave", this.#open(), nameArgument(group));
    }
    publish(group, value) {
        const from = this.#open();
        const members = [0];
        withValue(value, (handle) => call("publish", from, nameArgument(group), handle, members));
        return members[0];
    }

    // ---- itself

    ready() {
        call("ready", this.#open());
    }
    giveUp(reason) {
        const words = encoded(String(reason));
        call("give_up", this.#open(), words, words.length);
    }
    log(text, level = "info") {
        const words = encoded(String(text));
        call("log", this.#open(), levelOf(level), words, words.length);
    }

    close() {
        if (!this[held]) return;
        this.#inbox.end(closedHere());
        this.#inboxes.delete(this.#inbox);
        forgottenActors.unregister(this);
        super.close();
    }

    #open() {
        return handleOf(this, Actor, "the actor");
    }
}

function levelOf(level) {
    if (!Object.hasOwn(LEVELS, level)) throw new TypeError(`"${level}" is no level: ${Object.keys(LEVELS).join(", ")}`);
    return LEVELS[level];
}

const openNodes = new Set();
// A process that ends leaves its trees, as it does when its nodes are closed.
process.on("exit", () => {
    for (const handle of openNodes) functions.close(handle);
});

/** This process's part in a tree. One that is closed leaves it, and its actors end. */
export class Node {
    #handle;
    #stream;
    #inboxes = new Map(); // with the actors' handles
    #closing;

    /** For join(), begin() and runAsChild(). */
    constructor(handle) {
        if (typeof handle !== "number" && typeof handle !== "bigint")
            throw new TypeError("a node is made by Node.join() or Node.begin()");
        this.#handle = handle;
        openNodes.add(handle);
        this.#stream = new Stream(handle);
    }

    static async join({tree, parent, ...options} = {}) {
        if ((tree === undefined) === (parent === undefined))
            throw new TypeError("what is joined is named by `tree` or by `parent`");
        return open({tree, parent, ...options});
    }
    static async begin(options = {}) {
        return open(options);
    }

    actor(name, {mailbox = 0} = {}) {
        const options = {size: sizes.actorOptions, name: nameArgument(name), mailbox, stops_node: 0};
        return new Actor(made("open_actor", this.#handle, options), this.#stream, this.#inboxes);
    }
    /** Of a process child, whose actor came with the node. */
    own(actor) {
        return new Actor(actor, this.#stream, this.#inboxes);
    }

    close() {
        this.#closing ??= this.#close();
        return this.#closing;
    }
    async #close() {
        for (const inbox of [...this.#inboxes.keys()]) inbox.end(closedHere());
        openNodes.delete(this.#handle);
        try {
            const code = await callAway("close", this.#handle);
            if (code !== 0) throw errorOf(code);
        } finally {
            this.#stream.close();
        }
    }
}
if (Symbol.asyncDispose)
    Node.prototype[Symbol.asyncDispose] = function () {
        return this.close();
    };
// Does not wait for the end; the process does.
if (Symbol.dispose)
    Node.prototype[Symbol.dispose] = function () {
        void this.close();
    };

async function open({tree, parent, name, listen = [], secretFile, secretEnv, hold = 0, joinWithin = 0, logLevel = "info"}) {
    const options = {
        size: sizes.nodeOptions,
        name: nameArgument(name),
        tree: nameArgument(tree),
        parent: nameArgument(parent),
        listen: nameArgument([].concat(listen).join(",")) || null,
        secret_file: nameArgument(secretFile),
        secret_env: nameArgument(secretEnv),
        hold_ms: milliseconds(hold),
        join_ms: milliseconds(joinWithin),
        log_level: levelOf(logLevel),
    };
    const out = [0];
    const text = new Uint8Array(2048);
    const code = await callAway("open_node_telling", options, out, text, text.length);
    if (code !== 0) throw errorOf(code, new TextDecoder().decode(text.subarray(0, text.indexOf(0))));
    return new Node(out[0]);
}

/** True if a supervisor of a tree has started this process, and its place is not taken yet. */
export function isChild() {
    return functions.is_child() === 1;
}

/** Handles of the library that are open in this process; for tests of leaks. */
export function openHandles() {
    return Number(handles());
}

export async function runAsChild(main, {announce = true} = {}) {
    const node = [0];
    const actor = [0];
    // One that is no child is told at once, with the library's words.
    const code = isChild()
        ? await callAway("open_child", announce ? 1 : 0, node, actor)
        : functions.open_child(announce ? 1 : 0, node, actor);
    if (code !== 0 && isChild()) throw errorOf(code);
    check(code);
    const place = new Node(node[0]);
    const me = place.own(actor[0]);
    try {
        await main(me);
    } catch (error) {
        if (!(error instanceof Stopping)) {
            const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
            if (me[held]) functions.give_up(me[held], ...lengthened(words)); // refused where it is ending already
            throw error;
        }
    } finally {
        me.close();
        await place.close();
        process.exitCode = await callAway("exit_code");
    }
    return process.exitCode;
}

// Words of any text, also one with lone surrogates.
function lengthened(words) {
    const all = new TextEncoder().encode(words);
    return [all, all.length];
}
