// One session with a host, over as many connections as it takes: numbers, acknowledgements, reconnection, and nothing of mail.
//
// What has a number is kept until the host has acknowledged it, and sent again over the next connection; what comes twice is
// dropped. A connection that is silent for too long is given up. The event loop's thread.
import { errorOf, SessionUnknown } from "./errors.js";
import { decodeFrame, encodeFrame, FLAG_NEW_PAGE, Kind, PROTOCOL_VERSION } from "./frames.js";
/** Why the host has closed a connection: browser::close_code of the C++ library. */
const Close = { over: 4000, badFrame: 4002, refused: 4003, sessionUnknown: 4004, takenOver: 4010 };
/** Until a connection has to be answered by a welcome; then it is given up. */
const WELCOME_WITHIN = 10_000;
/** Before the host has said its own. */
const FIRST_WINDOW = 64;
const FIRST_BYTES = 1 << 20;
export class Link {
    #options;
    #user;
    #state = "connecting";
    #socket = null;
    #wasWelcomed = false;
    #refusal = null;
    #bye = null;
    #kept = [];
    #keptBytes = 0;
    #next = 1;
    /** The last number of the host's that was taken; of a session of another page it is not known at first. */
    #received;
    #toldReceived = 0;
    #taken = 0;
    #toldTaken = 0;
    #window = FIRST_WINDOW;
    #mostBytes = FIRST_BYTES;
    #waiters = [];
    #attempts = 0;
    #begun = now();
    #lastHeard = now();
    #retryTimer;
    #welcomeTimer;
    #receiptTimer;
    #pingTimer;
    #online = () => {
        if (this.#state === "waiting" || (this.#state === "connecting" && !this.#socket))
            this.#dial();
    };
    constructor(options, user) {
        this.#options = options;
        this.#user = user;
        this.#received = options.isResumed ? null : 0;
        this.#pingTimer = setInterval(() => this.#lookForLife(), options.pingAfter / 2);
        globalThis.addEventListener?.("online", this.#online);
        this.#dial();
    }
    get state() {
        return this.#state;
    }
    /** Bytes that a payload may have. */
    get mostBytes() {
        return this.#mostBytes;
    }
    get hasRoom() {
        return this.#kept.length < this.#window && (this.#kept.length === 0 || this.#keptBytes < this.#options.queueBytes);
    }
    /** Numbers a frame, sends it, and keeps it until it is acknowledged. `isOwed`: the host has room for it, as it asked. */
    post(frame, acknowledged, isOwed = false) {
        if (this.#state === "closed")
            throw errorOf("closed", "this peer was closed");
        if (!isOwed && !this.hasRoom)
            throw errorOf("mailbox_full", "too much waits for the host to take it");
        const bytes = this.#encoded({ ...frame, sequence: this.#next });
        this.#kept.push({ sequence: this.#next++, bytes, acknowledged });
        this.#keptBytes += bytes.length;
        if (this.#state === "open")
            this.#socket?.send(bytes);
    }
    /** Resolves when there may be room, or nothing comes any more. */
    whenRoom() {
        if (this.hasRoom || this.#state === "closed")
            return Promise.resolve();
        return new Promise((resolve) => this.#waiters.push(resolve));
    }
    /** The page has taken a piece of mail. */
    took() {
        ++this.#taken;
        this.#tellSoon();
    }
    /** Ends it here; the host is told by a frame before it. */
    end(why, isOrderly) {
        if (this.#state === "closed")
            return;
        this.#abandonSocket(1000);
        clearTimeout(this.#retryTimer);
        clearTimeout(this.#receiptTimer);
        clearInterval(this.#pingTimer);
        globalThis.removeEventListener?.("online", this.#online);
        this.#become("closed");
        this.#wake();
        this.#user.ended(why, isOrderly);
    }
    // ---- the connection
    #become(state) {
        if (this.#state === state)
            return;
        this.#state = state;
        this.#user.changed(state);
    }
    #dial() {
        clearTimeout(this.#retryTimer);
        let socket;
        try {
            socket = new this.#options.WebSocket(this.#options.url);
        }
        catch (error) {
            return this.end(errorOf("invalid_argument", String(error)), false);
        }
        ++this.#attempts;
        this.#refusal = null;
        this.#socket = socket;
        this.#become(this.#wasWelcomed ? "waiting" : "connecting");
        socket.binaryType = "arraybuffer";
        const ifPresent = (act) => (event) => {
            if (this.#socket === socket)
                act(event);
        };
        socket.onopen = ifPresent(() => socket.send(this.#greeting()));
        socket.onmessage = ifPresent((event) => this.#arrived(event.data));
        socket.onclose = ifPresent((event) => this.#dropped(event.code, event.reason));
        // Browsers tell a close behind it; of a handshake that fails Node.js 20 does not.
        socket.onerror = ifPresent(() => this.#giveUpConnection());
        this.#welcomeTimer = setTimeout(() => this.#giveUpConnection(), WELCOME_WITHIN);
    }
    #greeting() {
        const isResume = this.#wasWelcomed || this.#options.isResumed;
        return this.#encoded({
            kind: isResume ? Kind.resume : Kind.hello,
            code: PROTOCOL_VERSION,
            flags: isResume && !this.#wasWelcomed ? FLAG_NEW_PAGE : 0,
            text: isResume ? "" : this.#options.name,
            payload: this.#options.token,
        });
    }
    #encoded(frame) {
        this.#toldReceived = this.#received ?? 0;
        this.#toldTaken = this.#taken;
        return encodeFrame({ ...frame, acknowledged: this.#toldReceived, taken: this.#taken });
    }
    #abandonSocket(code) {
        const socket = this.#socket;
        this.#socket = null;
        clearTimeout(this.#welcomeTimer);
        if (socket && socket.readyState <= 1)
            socket.close(code);
    }
    #giveUpConnection() {
        this.#abandonSocket(1000);
        this.#dropped(1006, "");
    }
    #dropped(code, reason) {
        this.#socket = null;
        clearTimeout(this.#welcomeTimer);
        const why = this.#whyItIsOver(code, reason);
        if (why)
            return this.end(why, code === Close.over && this.#bye !== null);
        if (!this.#wasWelcomed && now() - this.#begun >= this.#options.connectWithin)
            return this.end(errorOf("unreachable", `no host of browsers at ${this.#options.url} (${code} ${reason})`), false);
        this.#become(this.#wasWelcomed ? "waiting" : "connecting");
        const longest = Math.min(this.#options.retryMost, this.#options.retryFirst * 2 ** Math.min(this.#attempts, 20));
        this.#retryTimer = setTimeout(() => this.#dial(), longest * (0.5 + Math.random() / 2));
    }
    /** Empty: it may be tried again. */
    #whyItIsOver(code, reason) {
        switch (code) {
            case Close.over:
                return this.#bye ?? errorOf("closed", reason);
            case Close.badFrame:
                return errorOf("bad_message", reason);
            case Close.refused:
                return this.#refusal ?? errorOf("denied", reason);
            case Close.sessionUnknown:
                return new SessionUnknown("not_found", reason);
            case Close.takenOver:
                return errorOf("closed", reason);
            default:
                return null;
        }
    }
    #lookForLife() {
        const silent = now() - this.#lastHeard;
        if (this.#state !== "open" || silent < this.#options.pingAfter)
            return;
        if (silent >= 2 * this.#options.pingAfter)
            this.#giveUpConnection();
        else
            this.#socket?.send(this.#encoded({ kind: Kind.ping }));
    }
    // ---- what arrives
    #arrived(data) {
        this.#lastHeard = now();
        let frame;
        try {
            frame = decodeFrame(new Uint8Array(data));
        }
        catch {
            return this.#giveUpConnection();
        }
        if (frame.kind === Kind.welcome)
            return this.#welcomed(frame);
        if (frame.kind === Kind.refused) {
            this.#refusal = errorOf(frame.code, frame.text);
            return;
        }
        if (this.#state !== "open")
            return this.#giveUpConnection();
        if (frame.kind === Kind.ping)
            this.#socket?.send(this.#encoded({ kind: Kind.pong, correlation: frame.correlation }));
        if (frame.sequence !== 0 && !this.#takeNumbered(frame))
            return;
        // Behind what the frame does: a failure comes before the acknowledgement of what has failed.
        this.#release(frame.acknowledged);
    }
    #takeNumbered(frame) {
        this.#received ??= frame.sequence - 1;
        if (frame.sequence > this.#received + 1)
            return this.#giveUpConnection(), false;
        if (frame.sequence === this.#received + 1) {
            this.#received = frame.sequence;
            if (frame.kind === Kind.bye)
                this.#bye = errorOf(frame.code, frame.text);
            else
                this.#user.arrived(frame);
        }
        this.#tellSoon();
        return this.#socket !== null;
    }
    #welcomed(frame) {
        clearTimeout(this.#welcomeTimer);
        if (frame.acknowledged >= this.#next && this.#wasWelcomed)
            return this.#giveUpConnection();
        // A new page goes on where the one before was; it has sent nothing yet.
        if (!this.#wasWelcomed && this.#options.isResumed)
            this.#next = frame.acknowledged + 1;
        this.#window = Math.max(frame.window, 1);
        this.#mostBytes = frame.bytes;
        this.#attempts = 0;
        this.#wasWelcomed = true;
        this.#become("open");
        // What the host has taken stays here until it is acknowledged behind the host's own: failures come first.
        for (const each of this.#kept)
            if (each.sequence > frame.acknowledged)
                this.#socket?.send(each.bytes);
        this.#user.welcomed(frame.text);
    }
    #release(acknowledged) {
        const before = this.#kept.length;
        while (this.#kept.length > 0 && this.#kept[0].sequence <= acknowledged) {
            const first = this.#kept.shift();
            this.#keptBytes -= first.bytes.length;
            first.acknowledged?.();
        }
        if (this.#kept.length < before)
            this.#wake();
    }
    #wake() {
        for (const each of this.#waiters.splice(0))
            each();
    }
    // One for all that has come in a turn of the event loop.
    #tellSoon() {
        this.#receiptTimer ??= setTimeout(() => {
            this.#receiptTimer = undefined;
            const isNews = this.#toldReceived !== (this.#received ?? 0) || this.#toldTaken !== this.#taken;
            if (isNews && this.#state === "open")
                this.#socket?.send(this.#encoded({ kind: Kind.acknowledge }));
        }, 0);
    }
}
function now() {
    return performance.now();
}
