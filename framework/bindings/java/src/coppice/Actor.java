// Actors of this process.
package coppice;

import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;

/**
 * A mailbox of this process, with a name in the tree. Iterated, it gives its mail until it is asked to end.
 *
 * <p>Any thread; one at a time receives. What waits does so until its limit, its outcome, or the actor's close(); interrupting its
 * thread does not end it. A limit of null is none.
 */
public final class Actor extends Handle implements Iterable<Mail> {
    private static final Duration USUAL = Duration.ofSeconds(5);

    // Under its own lock. A mail has one handle, hence one object, also if it was peeked at first.
    private final Map<Long, Mail> peeked = new HashMap<>();

    Actor(long handle) {
        super(handle);
    }

    public String path() {
        return new String(Native.path(this), StandardCharsets.UTF_8);
    }

    /** A new ref to it. */
    public Ref ref() {
        return new Ref(Native.self(this));
    }

    // ---- others

    /** NotFound: that node has no such actor. Unreachable: no link leads to that node. */
    public Ref find(String path) {
        return new Ref(Native.find(this, Values.name(Objects.requireNonNull(path, "path"))));
    }

    /** Returns when it is on its way. */
    public void send(Ref to, Object value) {
        send(to, value, Duration.ZERO);
    }

    /** Waits for room in the receiver's mailbox, for so long. */
    public void send(Ref to, Object value, Duration wait) {
        Values.with(value, handle -> {
            Native.send(this, Objects.requireNonNull(to, "to"), handle, Values.milliseconds(wait));
            return 0L;
        });
    }

    /** Sends a request and returns its answer: within 5 seconds. */
    public Object ask(Ref to, Object value) {
        return ask(to, value, USUAL);
    }

    /** Sends a request and returns its answer. Timeout after that time; Failed, NoReply and others at once. */
    public Object ask(Ref to, Object value, Duration within) {
        long answer = Values.with(
                value, handle -> Native.ask(this, Objects.requireNonNull(to, "to"), handle, Values.milliseconds(within)));
        return Values.fromHandle(answer);
    }

    /** Asks an actor to end when it has handled its mail. */
    public void stop(Ref who) {
        Native.stop(this, Objects.requireNonNull(who, "who"));
    }

    /** Asks it to end now, and kills it if that takes longer. */
    public void shutdown(Ref who, Duration within) {
        Native.shutdown(this, Objects.requireNonNull(who, "who"), Values.milliseconds(within));
    }

    public void kill(Ref who) {
        Native.kill(this, Objects.requireNonNull(who, "who"));
    }

    /** Mail with hasEnded() and this number comes when its present life ends; at once if it has none. */
    public long monitor(Ref who) {
        return Native.monitor(this, Objects.requireNonNull(who, "who"));
    }

    public void demonitor(long number) {
        Native.forgetMonitor(this, number);
    }

    // ---- mail

    /** The next mail, waited for. Stopping: the actor is asked to end, and there is none left. */
    public Mail receive() {
        return receive(null);
    }

    /** The next mail. Timeout: there was none in that time. */
    public Mail receive(Duration within) {
        return mail(Native.receive(this, Values.milliseconds(within)), false);
    }

    /** The next mail; null: there is none now. */
    public Mail poll() {
        try {
            return receive(Duration.ZERO);
        } catch (CoppiceException.Timeout none) {
            return null;
        }
    }

    /** The mail that receive() would return, which stays where it is until it is received, or closed. */
    public Mail peek(Duration within) {
        return mail(Native.peek(this, Values.milliseconds(within)), true);
    }

    private Mail mail(long handle, boolean stays) {
        synchronized (peeked) {
            if (stays) {
                peeked.values().removeIf(Mail::isClosed);
                return peeked.computeIfAbsent(handle, Mail::new);
            }
            Mail seen = peeked.remove(handle);
            return seen != null ? seen : new Mail(handle);
        }
    }

    /** For poll(2), in loops outside of Java: readable while there is mail, or the actor is asked to end. Neither read nor close it. */
    public int descriptor() {
        return Native.descriptor(this);
    }

    /** Its mail until it is asked to end. */
    @Override
    public Iterator<Mail> iterator() {
        return new Iterator<>() {
            private Mail next;

            @Override
            public boolean hasNext() {
                try {
                    if (next == null) next = receive();
                    return true;
                } catch (CoppiceException.Stopping end) {
                    return false;
                }
            }

            @Override
            public Mail next() {
                if (!hasNext()) throw new NoSuchElementException("the actor is asked to end");
                Mail mail = next;
                next = null;
                return mail;
            }
        };
    }

    // ---- groups

    public void join(String group) {
        Native.join(this, Values.name(Objects.requireNonNull(group, "group")));
    }

    public void leave(String group) {
        Native.leave(this, Values.name(Objects.requireNonNull(group, "group")));
    }

    /** To the group's members on this node, but for itself. Returns how many took it. */
    public long publish(String group, Object value) {
        byte[] name = Values.name(Objects.requireNonNull(group, "group"));
        return Values.with(value, handle -> Native.publish(this, name, handle));
    }

    // ---- itself

    /** A record in the tree's log, with the actor's path. */
    public void log(String text) {
        log(Level.INFO, text);
    }

    public void log(Level level, String text) {
        Native.log(this, Node.number(level), Values.utf8(text));
    }

    /** The child has started: after runAsChild(false, ...). */
    public void ready() {
        Native.ready(this);
    }

    /** Says that the actor ends in failure, with that text as its reason. Then close it. */
    public void giveUp(String text) {
        Native.giveUp(this, Values.utf8(text));
    }

    /** Ends the actor; its name is free. */
    @Override
    public void close() {
        super.close();
        synchronized (peeked) {
            peeked.values().forEach(Mail::close);
            peeked.clear();
        }
    }
}
