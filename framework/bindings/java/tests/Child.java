// The child of tests/capi/languages_test.cpp, which says what a child does.
import coppice.Actor;
import coppice.Coppice;
import coppice.CoppiceException;
import coppice.Mail;
import coppice.Record;
import coppice.Ref;
import coppice.Tagged;
import java.math.BigInteger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public class Child {
    private static final byte[] NO_BYTES = {};

    static List<Object> values(Ref own, int large) {
        byte[] bytes = new byte[large];
        Arrays.fill(bytes, (byte) 0xAB);
        Map<Object, Object> map = new LinkedHashMap<>();
        map.put("price", 2.5);
        map.put(7L, List.of(true));
        return Arrays.asList(
                null,
                true,
                false,
                0L,
                -1L,
                Long.MAX_VALUE,
                Long.MIN_VALUE,
                BigInteger.TWO.pow(64).subtract(BigInteger.ONE),
                0.5,
                Double.NEGATIVE_INFINITY,
                Double.NaN,
                Double.MIN_VALUE,
                "",
                "with a zero \0 inside",
                "four bytes: " + Character.toString(0x1D11E),
                "x".repeat(large),
                NO_BYTES,
                new byte[] {0, (byte) 0xFF},
                bytes,
                List.of(),
                List.of(1L, Arrays.asList("two", null)),
                Map.of(),
                map,
                own,
                Record.of(1L, "x"),
                new Tagged(-1, new byte[] {0, '{', '}'}));
    }

    static boolean isSame(Object sent, Object back) {
        if (sent instanceof byte[] a) return back instanceof byte[] b && Arrays.equals(a, b);
        if (sent instanceof Tagged) return sent.equals(Tagged.of(back));
        if (sent instanceof List<?> a) return back instanceof List<?> b && areSame(a, b);
        if (sent instanceof Map<?, ?> a)
            return back instanceof Map<?, ?> b && areSame(a.keySet(), b.keySet()) && areSame(a.values(), b.values());
        if (sent instanceof Record a)
            return back instanceof Record b && a.type() == b.type() && areSame(a.fields(), b.fields());
        return sent == null ? back == null : sent.equals(back); // of the same class; of doubles by their bits
    }

    private static boolean areSame(Iterable<?> a, Iterable<?> b) {
        Iterator<?> sent = a.iterator();
        Iterator<?> back = b.iterator();
        while (sent.hasNext() && back.hasNext()) if (!isSame(sent.next(), back.next())) return false;
        return !sent.hasNext() && !back.hasNext();
    }

    private static String inShort(Object value) {
        String kind = value == null ? "" : value.getClass().getSimpleName() + " ";
        String text = value instanceof byte[] bytes ? bytes.length + " bytes" : String.valueOf(value);
        return kind + text.substring(0, Math.min(text.length(), 100));
    }

    private static List<String> askForAll(Actor me, String path, int large) {
        List<String> wrong = new ArrayList<>();
        try (Ref to = me.find(path);
                Ref own = me.ref()) {
            for (Object value : values(own, large)) {
                try {
                    Object back = me.ask(to, Record.of(value), Duration.ofSeconds(60));
                    if (!isSame(value, back)) wrong.add(inShort(value) + " came back as " + inShort(back));
                    if (back instanceof Ref ref) ref.close();
                } catch (CoppiceException e) {
                    wrong.add(inShort(value) + ": " + e);
                }
            }
        }
        return wrong;
    }

    private static Object answer(Actor me, Record asked) {
        List<Object> fields = asked.fields();
        return switch (fields.size()) {
            case 0 -> ProcessHandle.current().pid();
            case 1 -> fields.get(0);
            default -> askForAll(me, (String) fields.get(0), ((Long) fields.get(1)).intValue());
        };
    }

    private static void child(Actor me) {
        for (Mail mail : me) {
            try (mail) {
                if (!mail.isRequest()) throw new RuntimeException((String) mail.value());
                Record asked = (Record) mail.value();
                mail.reply(answer(me, asked));
                if (asked.fields().size() == 1 && asked.fields().get(0) instanceof Ref ref) ref.close();
            }
        }
    }

    public static void main(String[] args) {
        System.exit(Coppice.runAsChild(Child::child));
    }
}
