// Bytes of other encodings.
package coppice;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;

/**
 * Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which.
 *
 * @param tag all 64 bits, unsigned: -1 is 2^64-1
 */
public record Tagged(long tag, byte[] content) {
    public Tagged {
        Objects.requireNonNull(content, "content");
    }

    /** Of what was received: as part of another value it may come as a record of two fields. Null: it is none. */
    public static Tagged of(Object value) {
        if (value instanceof Tagged tagged) return tagged;
        boolean isOne = value instanceof Record record
                && record.type() == 0
                && record.fields().size() == 2
                && (record.fields().get(0) instanceof Long tag && tag >= 0 || record.fields().get(0) instanceof BigInteger)
                && record.fields().get(1) instanceof byte[];
        if (!isOne) return null;
        List<Object> fields = ((Record) value).fields();
        return new Tagged(((Number) fields.get(0)).longValue(), (byte[]) fields.get(1));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Tagged tagged && tag == tagged.tag && Arrays.equals(content, tagged.content);
    }

    @Override
    public int hashCode() {
        return 31 * Long.hashCode(tag) + Arrays.hashCode(content);
    }

    @Override
    public String toString() {
        return "Tagged(" + Long.toUnsignedString(tag) + ", " + HexFormat.of().formatHex(content) + ")";
    }
}
