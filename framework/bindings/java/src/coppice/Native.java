// coppice.h as Java calls it: one native method a function, in native/coppice_jni.c, and how the two libraries are loaded.
//
// Any thread. Each method throws the CoppiceException of the code that its function returns. An argument of type Handle is kept
// from the collector as long as the call takes, so that its handle is not closed under it.
package coppice;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

final class Native {
    static final int NOTHING = 0;
    static final int BOOL = 1;
    static final int INT = 2;
    static final int UINT = 3;
    static final int REAL = 4;
    static final int TEXT = 5;
    static final int BYTES = 6;
    static final int LIST = 7;
    static final int RECORD = 8;
    static final int MAP = 9;
    static final int REF = 10;
    static final int TAGGED = 11;

    static final int REQUEST = 2;
    static final int ENDED = 4;

    static {
        String named = System.getenv("COPPICE_LIBRARY");
        // Then it is there when coppice_jni asks for libcoppice.so.1.
        if (named != null && !named.isEmpty()) System.load(Path.of(named).toAbsolutePath().toString());
        System.loadLibrary("coppice_jni");
        checkVersion();
    }

    private Native() {}

    // Called by coppice_jni.c.
    static CoppiceException error(int code, byte[] text) {
        return CoppiceException.of(code, new String(text, StandardCharsets.UTF_8));
    }

    private static native void checkVersion();

    static native byte[] codeName(int code);

    static native long openHandles();

    static native void close(long handle);

    // Texts without a length end in a zero; Values.name makes them.
    static native long openNode(
            byte[] name,
            byte[] tree,
            byte[] parent,
            byte[] listen,
            byte[] secretFile,
            byte[] secretEnv,
            long holdMs,
            long joinMs,
            int logLevel);

    static native long openActor(Handle node, byte[] name, int mailbox);

    static native boolean isChild();

    static native long[] openChild(boolean announce);

    static native void ready(Handle actor);

    static native void giveUp(Handle actor, byte[] text);

    static native int exitCode();

    static native byte[] path(Handle actor);

    static native long find(Handle from, byte[] path);

    static native long self(Handle actor);

    static native byte[] refText(Handle ref);

    static native boolean same(Handle a, Handle b);

    static native void send(Handle from, Handle to, long value, long waitMs);

    static native long ask(Handle from, Handle to, long value, long withinMs);

    static native long receive(Handle actor, long waitMs);

    static native long peek(Handle actor, long waitMs);

    static native int descriptor(Handle actor);

    static native int mailKind(Handle mail);

    static native long mailValue(Handle mail);

    static native long mailSender(Handle mail);

    static native long mailNumber(Handle mail);

    static native void reply(Handle request, long value);

    static native void fail(Handle request, byte[] text);

    static native void join(Handle actor, byte[] group);

    static native void leave(Handle actor, byte[] group);

    static native long publish(Handle actor, byte[] group, long value);

    static native long monitor(Handle actor, Handle who);

    static native void forgetMonitor(Handle actor, long number);

    static native void stop(Handle from, Handle who);

    static native void shutdown(Handle from, Handle who, long withinMs);

    static native void kill(Handle from, Handle who);

    static native void log(Handle actor, int level, byte[] text);

    // Values, which Values alone makes, reads and closes.

    static native long newNothing();

    static native long newBool(boolean b);

    static native long newInt64(long n);

    static native long newUint64(long n);

    static native long newDouble(double x);

    static native long newText(byte[] text);

    static native long newBytes(byte[] bytes);

    static native long newTagged(long tag, byte[] bytes);

    static native long newRef(Handle ref);

    static native long newList();

    static native long newMap();

    static native long newRecord(long type);

    static native void add(long list, long part);

    static native void put(long map, long key, long mapped);

    static native int kindOf(long value);

    static native boolean getBool(long value);

    static native long getInt64(long value);

    static native long getUint64(long value);

    static native double getDouble(long value);

    static native byte[] getText(long value);

    static native byte[] getBytes(long value);

    static native long getTag(long value);

    static native byte[] getTagged(long value);

    static native long getRef(long value);

    static native long size(long value);

    static native long at(long value, long index);

    static native long key(long map, long index);

    static native long type(long value);

    static native long typeId(byte[] name);
}
