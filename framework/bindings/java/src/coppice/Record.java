// Records: what messages of C++ arrive as. A file that imports coppice.* names it by an import of its own, as java.lang has a class
// of that name, too.
package coppice;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Fields in order, as of a C++ aggregate.
 *
 * @param type the id of the message type that it is, all 64 bits; 0: of none
 * @param fields any values
 */
public record Record(long type, List<Object> fields) {
    public Record {
        fields = Collections.unmodifiableList(new ArrayList<>(fields));
    }

    /** Of no message type. */
    public static Record of(Object... fields) {
        return new Record(0, Arrays.asList(fields));
    }

    /** Of a message type by its C++ name, "shop::order": it arrives at a C++ actor as that message. */
    public static Record ofType(String type, Object... fields) {
        return new Record(Coppice.typeId(type), Arrays.asList(fields));
    }
}
