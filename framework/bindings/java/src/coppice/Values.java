// Java objects as values of Coppice, and back.
//
//     null Boolean Byte Short Integer Long BigInteger Float Double String byte[] List Map Ref Tagged Record
package coppice;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongFunction;

final class Values {
    private static final int MOST_NESTED = 32; // as the library has it; here it ends what holds itself
    private static final int BAD_MESSAGE = 28;

    private Values() {}

    /** Real UTF-8, which JNI's own texts are not. */
    static byte[] utf8(String text) {
        try {
            ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
            return Arrays.copyOf(encoded.array(), encoded.limit());
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException("a text with a lone surrogate cannot be sent: it is no Unicode", e);
        }
    }

    /** For arguments that end at their terminating zero; null stays null. */
    static byte[] name(String text) {
        if (text == null) return null;
        if (text.indexOf('\0') >= 0) throw new IllegalArgumentException("a name must not have a zero character");
        byte[] encoded = utf8(text);
        return Arrays.copyOf(encoded, encoded.length + 1);
    }

    /** Null: for ever. A time that is not nothing is at least a millisecond. */
    static long milliseconds(Duration time) {
        if (time == null) return -1;
        if (time.isZero() || time.isNegative()) return 0;
        try {
            return Math.max(time.toMillis(), 1);
        } catch (ArithmeticException e) {
            return -1;
        }
    }

    /** use(handle) with a value that lives as long. */
    static long with(Object value, LongFunction<Long> use) {
        long handle = toHandle(value, 0);
        try {
            return use.apply(handle);
        } finally {
            Native.close(handle);
        }
    }

    // A new value of the library's; whoever has it closes it, or gives it to another one.
    private static long toHandle(Object value, int depth) {
        if (value == null) return Native.newNothing();
        if (value instanceof String text) return Native.newText(utf8(text));
        if (value instanceof Long n) return Native.newInt64(n);
        if (value instanceof Integer || value instanceof Short || value instanceof Byte)
            return Native.newInt64(((Number) value).longValue());
        if (value instanceof BigInteger n) return integer(n);
        if (value instanceof Boolean b) return Native.newBool(b);
        if (value instanceof Double || value instanceof Float) return Native.newDouble(((Number) value).doubleValue());
        if (value instanceof byte[] bytes) return Native.newBytes(bytes);
        if (value instanceof Ref ref) return Native.newRef(ref);
        if (value instanceof Tagged tagged) return Native.newTagged(tagged.tag(), tagged.content());
        if (depth >= MOST_NESTED)
            throw CoppiceException.of(
                    CoppiceException.TooLarge.CODE,
                    "lists, records and maps within one another are limited to " + MOST_NESTED + ": flatten what you send");
        if (value instanceof List<?> list) return filled(Native.newList(), list, depth);
        if (value instanceof Record record) return filled(Native.newRecord(record.type()), record.fields(), depth);
        if (value instanceof Map<?, ?> map) return mapped(Native.newMap(), map, depth);
        throw new IllegalArgumentException(value.getClass().getName() + " cannot be sent: it is no value of Coppice");
    }

    private static long integer(BigInteger n) {
        if (n.bitLength() < Long.SIZE) return Native.newInt64(n.longValue());
        if (n.signum() > 0 && n.bitLength() == Long.SIZE) return Native.newUint64(n.longValue());
        throw new IllegalArgumentException(n + " does not fit 64 bits");
    }

    private static long filled(long whole, List<?> parts, int depth) {
        try {
            for (Object part : parts) Native.add(whole, toHandle(part, depth + 1)); // takes it, whatever comes of it
            return whole;
        } catch (Throwable e) {
            Native.close(whole);
            throw e;
        }
    }

    private static long mapped(long whole, Map<?, ?> pairs, int depth) {
        try {
            for (Map.Entry<?, ?> pair : pairs.entrySet()) {
                long key = toHandle(pair.getKey(), depth + 1);
                long mapped;
                try {
                    mapped = toHandle(pair.getValue(), depth + 1);
                } catch (Throwable e) {
                    Native.close(key);
                    throw e;
                }
                Native.put(whole, key, mapped);
            }
            return whole;
        } catch (Throwable e) {
            Native.close(whole);
            throw e;
        }
    }

    /** What a value holds. Closes the handle. */
    static Object fromHandle(long value) {
        try {
            return switch (Native.kindOf(value)) {
                case Native.NOTHING -> null;
                case Native.BOOL -> Native.getBool(value);
                case Native.INT -> Native.getInt64(value);
                case Native.UINT -> unsigned(Native.getUint64(value));
                case Native.REAL -> Native.getDouble(value);
                case Native.TEXT -> text(Native.getText(value));
                case Native.BYTES -> Native.getBytes(value);
                case Native.LIST -> parts(value);
                case Native.RECORD -> new Record(Native.type(value), parts(value));
                case Native.MAP -> pairs(value);
                case Native.REF -> new Ref(Native.getRef(value));
                case Native.TAGGED -> new Tagged(Native.getTag(value), Native.getTagged(value));
                default -> throw CoppiceException.of(BAD_MESSAGE, "a value of a kind that this version does not know");
            };
        } finally {
            Native.close(value);
        }
    }

    private static Object unsigned(long bits) {
        if (bits >= 0) return bits;
        return new BigInteger(Long.toUnsignedString(bits));
    }

    // Other programs may send as a text what is none.
    private static String text(byte[] utf8) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
        } catch (CharacterCodingException e) {
            throw CoppiceException.of(BAD_MESSAGE, "the text that was received is no UTF-8");
        }
    }

    private static List<Object> parts(long whole) {
        long size = Native.size(whole);
        List<Object> parts = new ArrayList<>();
        for (long i = 0; i < size; ++i) parts.add(fromHandle(Native.at(whole, i)));
        return parts;
    }

    private static Map<Object, Object> pairs(long map) {
        long size = Native.size(map);
        Map<Object, Object> pairs = new LinkedHashMap<>();
        for (long i = 0; i < size; ++i) pairs.put(fromHandle(Native.key(map, i)), fromHandle(Native.at(map, i)));
        return pairs;
    }
}
