// Coppice for Java: actors of a Coppice tree, by its C library. Here is what belongs to no node.
package coppice;

import java.nio.charset.StandardCharsets;
import java.util.Objects;

/**
 * Programs that a supervisor starts, and types of messages.
 *
 * <pre>{@code
 * public static void main(String[] args) {
 *     System.exit(Coppice.runAsChild(me -> {
 *         for (Mail mail : me) try (mail) { ... }
 *     }));
 * }
 * }</pre>
 */
public final class Coppice {
    private Coppice() {}

    /** What a child does, from its start to its end. */
    @FunctionalInterface
    public interface Body {
        void run(Actor me) throws Exception;
    }

    /** True if a supervisor of a tree has started this process, and its place is not taken yet. */
    public static boolean isChild() {
        return Native.isChild();
    }

    /** The same, announced at once. */
    public static int runAsChild(Body body) {
        return runAsChild(true, body);
    }

    /**
     * The main function of a program that a supervisor starts: takes its place in the tree, runs the body, and returns the code for
     * System.exit. Without `announce` the child counts as started when the body calls ready(). What the body throws ends the actor in
     * failure, with its words as the reason, and is told as any exception that nobody caught.
     */
    @SuppressWarnings("try") // the node is only kept
    public static int runAsChild(boolean announce, Body body) {
        Objects.requireNonNull(body, "body");
        long[] opened = Native.openChild(announce);
        try (Node node = new Node(opened[0]);
                Actor me = new Actor(opened[1])) {
            try {
                body.run(me);
            } catch (CoppiceException.Stopping asked) {
                // as its supervisor wants it
            } catch (Throwable failure) {
                giveUp(me, failure);
                Thread thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, failure);
            }
        }
        return Native.exitCode();
    }

    private static void giveUp(Actor me, Throwable failure) {
        try {
            Native.giveUp(me, failure.toString().getBytes(StandardCharsets.UTF_8)); // whatever its words are
        } catch (RuntimeException e) {
            // the actor is ending already
        }
    }

    /** The id of a message type, by its C++ name. */
    public static long typeId(String name) {
        return Native.typeId(Values.name(Objects.requireNonNull(name, "name")));
    }
}
