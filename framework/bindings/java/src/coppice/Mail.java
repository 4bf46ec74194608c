// What an actor receives.
package coppice;

/**
 * What an actor has received. A request that is closed without a reply is answered with NoReply. Any thread; it may be answered
 * later, from another one.
 */
public final class Mail extends Handle {
    private final int kind;
    private Object value;
    private boolean isRead;

    Mail(long handle) {
        super(handle);
        kind = Native.mailKind(this);
    }

    /** What was sent. Of one that tells an end: its reason, in words. */
    public synchronized Object value() {
        if (!isRead) {
            value = Values.fromHandle(Native.mailValue(this));
            isRead = true;
        }
        return value;
    }

    /** Its sender waits for reply() or fail(). */
    public boolean isRequest() {
        return kind == Native.REQUEST;
    }

    /** A monitored actor has ended: number() is what monitor() gave. */
    public boolean hasEnded() {
        return kind == Native.ENDED;
    }

    public long number() {
        return Native.mailNumber(this);
    }

    /** Null: nobody says so. */
    public Ref sender() {
        try {
            return new Ref(Native.mailSender(this));
        } catch (CoppiceException.NotFound nobody) {
            return null;
        }
    }

    /** Answers a request, once, from any thread. Closed: it has been answered. */
    public void reply(Object value) {
        Values.with(value, handle -> {
            Native.reply(this, handle);
            return 0L;
        });
    }

    /** Its sender gets Failed, with this text. */
    public void fail(String text) {
        Native.fail(this, Values.utf8(text));
    }

    @Override
    public String toString() {
        return "Mail(" + (isRequest() ? "request" : hasEnded() ? "end" : "message") + ")";
    }
}
