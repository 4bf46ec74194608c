// poll(2), which Java has not; see ../poll.c.
package coppice;

final class Poll {
    static {
        System.loadLibrary("coppice_poll");
    }

    private Poll() {}

    /** 1 if the descriptor can be read within that time, else 0. */
    static native int poll(int descriptor, int timeoutMs);
}
