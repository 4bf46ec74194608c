// Refs to actors.
package coppice;

import java.nio.charset.StandardCharsets;

/** Leads to an actor, wherever it runs, also after it was restarted. Equal to another one that leads to the same actor. */
public final class Ref extends Handle {
    Ref(long handle) {
        super(handle);
    }

    @Override
    public boolean equals(Object other) {
        return this == other || (other instanceof Ref ref && Native.same(this, ref));
    }

    /** The same for all: the library compares refs, and gives no number for them. */
    @Override
    public int hashCode() {
        return 1;
    }

    @Override
    public String toString() {
        try {
            return "Ref(" + new String(Native.refText(this), StandardCharsets.UTF_8) + ")";
        } catch (CoppiceException.Closed closed) {
            return "Ref(closed)";
        }
    }
}
