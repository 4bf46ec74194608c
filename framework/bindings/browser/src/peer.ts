// A page as an actor of the tree: its mail, what it sends and asks, its groups and monitors.
//
//     const me = await connect("ws://localhost:8080/", {name: "ann"});
//     await me.send("/app/shop", {order: "tea"});
//     console.log(await me.ask("/app/shop", {"price of": "tea"}));
//     for await (const mail of me) if (mail.isRequest) mail.reply(mail.value);
//
// The connection may come and go: nothing is lost, doubled or reordered meanwhile. The event loop's thread.
import {CoppiceError, endOf, errorOf, OutcomeUnknown, SessionUnknown} from "./errors.js";
import {type Frame, Kind} from "./frames.js";
import {Link, type LinkState} from "./link.js";
import {decodeValue, encodeValue, type Sendable, type Value} from "./values.js";

/** `connecting`: for the first time; `open`; `waiting`: for a connection, what is sent waits as well; `closed`: for good. */
export type State = LinkState;

/** Times are in milliseconds. */
export interface ConnectOptions {
    /** The name to have in the tree, below the host; the host's options say which are allowed. None: a number. */
    name?: string;
    /** What `peer.token` was in a page before this one: goes on with its session. SessionUnknown if that has ended. */
    token?: string;
    /** Gives up. */
    signal?: AbortSignal;
    /** How long to try for the first time; 10,000. Unreachable. */
    connectWithin?: number;
    /** Waits before the next attempt; 200, doubled up to 10,000, and made shorter by up to a half, by chance. */
    retryFirst?: number;
    retryMost?: number;
    /** Silence after which the host is asked for a sign of life, and after twice as long given up; 10,000. */
    pingAfter?: number;
    /** Bytes that may wait for the host; 4 MiB. */
    queueBytes?: number;
    /** When the host does not know the session any more, begin another one, after the event `lost`. Else the peer is closed. */
    renew?: boolean;
    /** Where there is no global one. */
    WebSocket?: typeof WebSocket;
}

export interface Limit {
    within?: number;
    signal?: AbortSignal;
}

/** Leads to an actor, also after it was restarted. Of one session. */
export class Ref {
    readonly path: string;
    /** @internal */
    readonly number: number;
    /** @internal */
    readonly life: number;
    /** @internal */
    constructor(number: number, path: string, life: number) {
        this.number = number;
        this.path = path;
        this.life = life;
    }
    equals(other: unknown): boolean {
        return other instanceof Ref && other.number === this.number && other.life === this.life;
    }
    toString(): string {
        return this.path || `#${this.number}`;
    }
}

/** What a page has received. */
export class Mail {
    readonly #peer: Peer;
    readonly #frame: Frame;
    readonly #life: number;
    #isAnswered = false;
    /** null: nobody says so. Of one that tells an end: who has ended. */
    readonly sender: Ref | null;

    /** @internal */
    constructor(peer: Peer, frame: Frame, sender: Ref | null) {
        this.#peer = peer;
        this.#frame = frame;
        this.#life = peer.incarnation;
        this.sender = sender;
    }
    /** What was sent. Of one that tells an end: its reason, in words. BadMessage: a text in it is not UTF-8. */
    get value(): Value {
        if (this.hasEnded) return this.#frame.text;
        return decodeValue(this.#frame.payload, this.#frame.type);
    }
    /** Its sender waits for reply() or fail(). */
    get isRequest(): boolean {
        return this.#frame.kind === Kind.ask;
    }
    /** A monitored actor has ended. */
    get hasEnded(): boolean {
        return this.#frame.kind === Kind.down;
    }
    /** What monitor() gave, of one that tells an end. */
    get number(): number {
        return this.hasEnded ? this.#frame.correlation : 0;
    }
    /** How it ended: "normal", "killed", "node_lost", ...; docs/semantics.md. */
    get end(): string {
        return this.hasEnded ? endOf(this.#frame.code) : "";
    }
    /** Answers a request, once, now or later. Closed: it has been answered, or its session has ended. */
    reply(value?: Sendable): void {
        const {payload, type} = encodeValue(value);
        this.#answer({kind: Kind.answer, payload, type});
    }
    /** Its sender gets Failed, with this text. */
    fail(text: string): void {
        this.#answer({kind: Kind.failure, text: shortened(text)});
    }
    #answer(frame: Partial<Frame> & {kind: number}): void {
        if (!this.isRequest) throw errorOf("invalid_argument", "this mail asks for no answer");
        if (this.#isAnswered) throw errorOf("closed", "this request has been answered");
        this.#peer.answer({...frame, correlation: this.#frame.correlation}, this.#life);
        this.#isAnswered = true;
    }
}

interface Waiting {
    resolve(frame: Frame | null): void;
    reject(why: unknown): void;
    /** It is done when the host has taken it. */
    isSend: boolean;
}
interface Receiver {
    resolve(mail: Mail): void;
    reject(why: unknown): void;
}

export interface PeerEvents {
    /** `detail` is the new state. */
    state: CustomEvent<State>;
    /** The session has ended at the host: what was under way has an unknown outcome. `detail.incarnation`: of the next one. */
    lost: CustomEvent<{incarnation: number; why: CoppiceError}>;
    /** Nothing comes any more. `detail` says why. */
    close: CustomEvent<CoppiceError>;
}

const ASK_WITHIN = 5_000;
const CLOSE_WITHIN = 2_000;
const TEXT_BYTES = 4_096;
const hex = /^[0-9a-f]{32}$/;

export declare interface Peer {
    addEventListener<T extends keyof PeerEvents>(
        type: T,
        listener: (event: PeerEvents[T]) => void,
        options?: boolean | AddEventListenerOptions,
    ): void;
    addEventListener(
        type: string,
        listener: EventListenerOrEventListenerObject | null,
        options?: boolean | AddEventListenerOptions,
    ): void;
}

export class Peer extends EventTarget implements AsyncIterable<Mail> {
    readonly #url: string;
    readonly #options: ConnectOptions;
    #link: Link;
    #token: Uint8Array;
    #path = "";
    #incarnation = 1;
    #ended: CoppiceError | null = null;
    #isOrderly = false;
    #isClosing = false;
    #inbox: Mail[] = [];
    #receivers: Receiver[] = [];
    #waiting = new Map<number, Waiting>();
    #lastNumber = 0;
    #named = new Map<string, Promise<Ref>>();
    #monitors = new Set<number>();
    #onWelcome: (() => void) | null = null;
    #onFailure: ((why: CoppiceError) => void) | null = null;

    private constructor(url: string, options: ConnectOptions) {
        super();
        this.#url = url;
        this.#options = options;
        if (options.token !== undefined && !hex.test(options.token))
            throw errorOf("invalid_argument", "a token has 32 hexadecimal digits");
        this.#token = options.token === undefined ? newToken() : bytesOf(options.token);
        this.#link = this.#begin(options.token !== undefined);
    }

    /** @internal */
    static connect(url: string, options: ConnectOptions): Promise<Peer> {
        return new Promise((resolve, reject) => {
            options.signal?.throwIfAborted();
            const peer = new Peer(url, options);
            const aborted = (): void => {
                reject(options.signal?.reason);
                peer.#link.end(errorOf("cancelled"), false);
            };
            options.signal?.addEventListener("abort", aborted, {once: true});
            peer.#onWelcome = () => {
                options.signal?.removeEventListener("abort", aborted);
                peer.#onFailure = null;
                resolve(peer);
            };
            peer.#onFailure = reject;
            if (peer.#ended) reject(peer.#ended);
        });
    }

    #begin(isResumed: boolean): Link {
        const o = this.#options;
        const life = this.#incarnation;
        const ifPresent = <A extends unknown[]>(act: (...args: A) => void) => (...args: A): void => {
            if (life === this.#incarnation) act(...args);
        };
        return new Link(
            {
                url: this.#url,
                token: this.#token,
                name: o.name ?? "",
                isResumed,
                WebSocket: o.WebSocket ?? globalThis.WebSocket,
                retryFirst: o.retryFirst ?? 200,
                retryMost: o.retryMost ?? 10_000,
                connectWithin: o.connectWithin ?? 10_000,
                pingAfter: o.pingAfter ?? 10_000,
                queueBytes: o.queueBytes ?? 4 << 20,
            },
            {
                arrived: ifPresent((frame: Frame) => this.#arrived(frame)),
                welcomed: ifPresent((path: string) => {
                    this.#path = path;
                    this.#onWelcome?.();
                    this.#onWelcome = null;
                }),
                changed: ifPresent((state: State) => {
                    if (state !== "closed") this.#tell("state", state);
                }),
                ended: ifPresent((why: CoppiceError, isOrderly: boolean) => this.#linkEnded(why, isOrderly)),
            },
        );
    }

    // ---- itself

    /** "/app/browsers/ann". */
    get path(): string {
        return this.#path;
    }
    /** What goes on with this session, from another page too: a secret, as a password is. */
    get token(): string {
        return [...this.#token].map((b) => b.toString(16).padStart(2, "0")).join("");
    }
    get state(): State {
        return this.#ended ? "closed" : this.#link.state;
    }
    /** 1, and one more each time that its session was lost and another one begun. */
    get incarnation(): number {
        return this.#incarnation;
    }
    /** Mail that waits to be received. */
    get waiting(): number {
        return this.#inbox.length;
    }

    // ---- sending

    /** NotFound, Denied. What is found is remembered. */
    find(path: string, limit: Limit = {}): Promise<Ref> {
        const known = this.#named.get(path);
        if (known) return limited(known, limit);
        const found = this.#call({kind: Kind.find, text: path}).then(
            (frame) => new Ref(frame!.actor, frame!.text, this.#incarnation),
        );
        this.#named.set(path, found);
        found.catch(() => {
            if (this.#named.get(path) === found) this.#named.delete(path);
        });
        return limited(found, {within: ASK_WITHIN, ...limit});
    }

    /** Resolves when the host has given it to the tree. MailboxFull: the receiver's, or what waits here. */
    send(to: Ref | string, value?: Sendable): Promise<void> {
        return this.#withContent(to, value, (number, content) =>
            this.#call({kind: Kind.mail, actor: number, ...content}, true).then(() => undefined),
        );
    }
    /** As send, but waits for room among what waits here. Timeout. */
    async sendWhenRoom(to: Ref | string, value: Sendable, limit: Limit = {}): Promise<void> {
        const until = limit.within === undefined ? Infinity : performance.now() + limit.within;
        while (!this.#link.hasRoom && !this.#ended)
            await limited(this.#link.whenRoom(), {...limit, within: until - performance.now()});
        return this.send(to, value);
    }
    /** The answer; within 5,000 unless told. Timeout, Down, NoHandler, NoReply, Failed and others at once. */
    ask(to: Ref | string, value?: Sendable, limit: Limit = {}): Promise<Value> {
        const within = limit.within ?? ASK_WITHIN;
        const time = Number.isFinite(within) ? Math.ceil(within) : 0;
        const answer = this.#withContent(to, value, (number, content) =>
            this.#call({kind: Kind.ask, actor: number, time, ...content}),
        );
        return limited(answer, {...limit, within}).then((frame) => decodeValue(frame!.payload, frame!.type));
    }

    /** Mail with hasEnded and this number comes when its present life ends; at once if it has none. */
    async monitor(who: Ref | string): Promise<number> {
        const ref = typeof who === "string" ? await this.find(who) : who;
        const number = ++this.#lastNumber;
        this.#monitors.add(number);
        try {
            await this.#call({kind: Kind.monitor, actor: this.#numberOf(ref), correlation: number}, true);
        } catch (error) {
            this.#monitors.delete(number);
            throw error;
        }
        return number;
    }
    /** No such mail is received after this. */
    demonitor(number: number): void {
        if (!this.#monitors.delete(number)) return;
        this.#inbox = this.#inbox.filter((mail) => {
            const isOfIt = mail.hasEnded && mail.number === number;
            if (isOfIt) this.#link.took();
            return !isOfIt;
        });
        this.#link.post({kind: Kind.demonitor, correlation: number}, undefined, true);
    }

    async join(group: string): Promise<void> {
        await this.#call({kind: Kind.join, text: group});
    }
    async leave(group: string): Promise<void> {
        await this.#call({kind: Kind.leave, text: group});
    }
    /** To all members but this one; how many took it. */
    async publish(group: string, value?: Sendable): Promise<number> {
        const frame = await this.#call({kind: Kind.publish, text: group, ...this.#content(value)});
        return Number(decodeValue(frame!.payload));
    }

    // ---- receiving

    /** The next mail. Timeout: there is none in time. What ended the peer, once it is closed and all is received. */
    receive(limit: Limit = {}): Promise<Mail> {
        const mail = this.#inbox.shift();
        if (mail) {
            this.#link.took();
            return Promise.resolve(mail);
        }
        if (this.#ended) return Promise.reject(this.#ended);
        let receiver!: Receiver;
        const arrival = new Promise<Mail>((resolve, reject) => this.#receivers.push((receiver = {resolve, reject})));
        return limited(arrival, limit, () => {
            this.#receivers = this.#receivers.filter((each) => each !== receiver);
        });
    }
    /** Its mail, until it is closed in order, here or there; else it throws. */
    async *[Symbol.asyncIterator](): AsyncIterableIterator<Mail> {
        for (;;) {
            try {
                yield await this.receive();
            } catch (error) {
                if (this.#isOrderly && error === this.#ended) return;
                throw error;
            }
        }
    }

    /** Ends the session, once what was sent before is taken; its name is free then. */
    async close(): Promise<void> {
        if (this.#ended) return;
        const link = this.#link;
        this.#isClosing = true;
        const taken = new Promise<void>((resolve) => link.post({kind: Kind.bye}, resolve, true));
        const gone = new Promise<void>((resolve) => this.addEventListener("close", () => resolve(), {once: true}));
        await limited(Promise.race([taken, gone]), {within: CLOSE_WITHIN}).catch(() => undefined);
        link.end(errorOf("closed", "this peer was closed"), true);
    }

    /** @internal */
    answer(frame: Partial<Frame> & {kind: number}, life: number): void {
        if (life !== this.#incarnation) throw errorOf("closed", "the session that brought this request has ended");
        if ((frame.payload?.length ?? 0) > this.#link.mostBytes) throw this.#tooLarge();
        this.#link.post(frame, undefined, true);
    }

    // ---- within

    #content(value: Sendable): {payload: Uint8Array; type: bigint} {
        const content = encodeValue(value);
        if (content.payload.length > this.#link.mostBytes) throw this.#tooLarge();
        return content;
    }
    #tooLarge(): CoppiceError {
        return errorOf("too_large", `the host takes values of ${this.#link.mostBytes} bytes`);
    }
    #numberOf(ref: Ref): number {
        if (ref.life !== this.#incarnation) throw errorOf("down", "a ref of a session that was lost: find it again");
        return ref.number;
    }
    // Written at once: what the caller changes later is not sent. What goes to one name stays in order behind its lookup.
    #withContent<T>(to: Ref | string, value: Sendable, act: (number: number, content: {payload: Uint8Array; type: bigint}) => Promise<T>): Promise<T> {
        try {
            const content = this.#content(value);
            if (to instanceof Ref) return act(this.#numberOf(to), content);
            return this.find(to, {within: Infinity})
                .then((ref) => act(this.#numberOf(ref), content))
                .catch((error: unknown) => {
                    // It was forgotten, or is gone: the next one looks again.
                    if (error instanceof CoppiceError && (error.codeName === "not_found" || error.codeName === "down"))
                        this.#named.delete(to);
                    throw error;
                });
        } catch (error) {
            return Promise.reject(error);
        }
    }
    #call(frame: Partial<Frame> & {kind: number}, isSend = false): Promise<Frame | null> {
        return new Promise((resolve, reject) => {
            if (this.#ended) return reject(this.#ended);
            const number = frame.correlation ?? ++this.#lastNumber;
            const taken = (): void => {
                if (this.#waiting.delete(number)) resolve(null);
            };
            this.#link.post({...frame, correlation: number}, isSend ? taken : undefined);
            this.#waiting.set(number, {resolve, reject, isSend});
        });
    }

    #arrived(frame: Frame): void {
        switch (frame.kind) {
            case Kind.mail:
            case Kind.ask:
            case Kind.down:
                return this.#take(frame);
            case Kind.answer:
            case Kind.found:
            case Kind.failure: {
                const waiting = this.#waiting.get(frame.correlation);
                this.#waiting.delete(frame.correlation);
                if (frame.kind === Kind.failure) waiting?.reject(errorOf(frame.code, frame.text));
                else waiting?.resolve(frame);
            }
        }
    }
    #take(frame: Frame): void {
        if (frame.kind === Kind.down && !this.#monitors.delete(frame.correlation)) return this.#link.took();
        const sender = frame.actor === 0 ? null : new Ref(frame.actor, "", this.#incarnation);
        const mail = new Mail(this, frame, sender);
        const receiver = this.#receivers.shift();
        if (!receiver) {
            this.#inbox.push(mail);
            return;
        }
        this.#link.took();
        receiver.resolve(mail);
    }

    #linkEnded(why: CoppiceError, isOrderlyThere: boolean): void {
        // Who is closed need not come back: that the host does not know it any more is how it should be.
        const isOrderly = isOrderlyThere || this.#isClosing;
        const isLost = why instanceof SessionUnknown && !this.#onFailure && !this.#isClosing;
        for (const each of this.#waiting.values())
            each.reject(isOrderly ? why : new OutcomeUnknown("outcome_unknown", `the session has ended: ${why.message}`));
        this.#waiting.clear();
        this.#named.clear();
        this.#monitors.clear();
        if (isLost && this.#options.renew) {
            ++this.#incarnation;
            this.#token = newToken();
            this.#link = this.#begin(false);
            this.#tell("lost", {incarnation: this.#incarnation, why});
            return;
        }
        this.#ended = why;
        this.#isOrderly = isOrderly;
        if (isLost) this.#tell("lost", {incarnation: this.#incarnation + 1, why});
        for (const each of this.#receivers.splice(0)) each.reject(why);
        this.#onFailure?.(why);
        this.#tell("state", "closed");
        this.#tell("close", why);
    }
    #tell<T>(type: string, detail: T): void {
        this.dispatchEvent(new CustomEvent(type, {detail}));
    }
}

/**
 * Joins the tree at the host of browsers at that URL. Unreachable: there is none in time. NameTaken, LimitReached, a CoppiceError with
 * `name_refused`: as the host says. SessionUnknown: there is no session of that token.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Promise<Peer> {
    return Peer.connect(String(url), options);
}

function newToken(): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(16));
}
function bytesOf(digits: string): Uint8Array {
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
function shortened(text: string): string {
    const bytes = new TextEncoder().encode(text);
    return bytes.length <= TEXT_BYTES ? text : new TextDecoder().decode(bytes.subarray(0, TEXT_BYTES - 3)).replace(/\ufffd$/, "");
}

// The promise, or Timeout, or the signal's reason; then `forget` is called.
function limited<T>(promise: Promise<T>, limit: Limit, forget?: () => void): Promise<T> {
    const {within, signal} = limit;
    if ((within === undefined || within === Infinity) && !signal) return promise;
    return new Promise((resolve, reject) => {
        let timer: ReturnType<typeof setTimeout> | undefined;
        const over = (): void => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", aborted);
        };
        const aborted = (): void => {
            over();
            forget?.();
            reject(signal?.reason);
        };
        if (signal?.aborted) return aborted();
        signal?.addEventListener("abort", aborted, {once: true});
        // A timer counts 31 bits of milliseconds; what is longer, nobody waits for.
        if (within !== undefined && within < 2 ** 31)
            timer = setTimeout(() => {
                over();
                forget?.();
                reject(errorOf("timeout"));
            }, Math.max(within, 0));
        promise.then(
            (value) => (over(), resolve(value)),
            (why: unknown) => (over(), reject(why)),
        );
    });
}
