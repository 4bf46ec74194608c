// What nodes, actors, mail and refs have in common.
package coppice;

import java.lang.ref.Cleaner;

/**
 * Owns a handle of the library: closed by close(), best by try-with-resources, or some time after nobody has it any more.
 * What is closed tells so: CoppiceException.Closed. Any thread.
 */
abstract sealed class Handle implements AutoCloseable permits Node, Actor, Mail, Ref {
    private static final Cleaner cleaner = Cleaner.create();

    final long handle; // read by coppice_jni.c
    private final Cleaner.Cleanable closing;
    private volatile boolean isClosed;

    Handle(long handle) {
        this.handle = handle;
        closing = cleaner.register(this, () -> Native.close(handle));
    }

    @Override
    public void close() {
        isClosed = true;
        closing.clean(); // once
    }

    final boolean isClosed() {
        return isClosed;
    }
}
