// The binding against the library, within one process; as a supervised child it is tested in tests/capi.
package coppice;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class CoppiceTest {
    private static final String TREE = "test-java-" + ProcessHandle.current().pid(); // found on the whole machine
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final Duration SHORT = Duration.ofMillis(10);
    private static final BigInteger UINT64_MAX = BigInteger.TWO.pow(64).subtract(BigInteger.ONE);

    private static final List<Object> VALUES = Arrays.asList(
            null,
            true,
            false,
            0L,
            -1L,
            1L << 31,
            Long.MAX_VALUE,
            Long.MIN_VALUE,
            BigInteger.TWO.pow(63),
            UINT64_MAX,
            0.0,
            -0.0,
            -1.5,
            Double.POSITIVE_INFINITY,
            Double.NEGATIVE_INFINITY,
            Double.NaN,
            Double.MIN_VALUE,
            "",
            "text",
            "with a zero \0 inside",
            "grüß dich",
            "four bytes: " + Character.toString(0x1D11E),
            new byte[0],
            new byte[] {0, (byte) 0xFF},
            List.of(),
            List.of(1L, Arrays.asList(2.5, Arrays.asList("three", null))),
            Map.of(),
            map("name", "tea", 7L, List.of(new byte[] {'x'}), null, Map.of(true, false)),
            Record.of(1L, "x", Arrays.asList((Object) null)),
            Record.ofType("shop::order", 1L));

    private Node node;
    private Actor a;
    private Actor b;
    private Ref toB;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @Before
    public void begin() {
        node = new Node.Options().name(TREE).logLevel(Level.OFF).open();
        a = node.actor("a");
        b = node.actor("b");
        toB = a.find("/" + TREE + "/b");
    }

    @After
    public void end() {
        for (Handle handle : List.of(toB, a, b, node)) handle.close();
        threads.shutdownNow();
        assertEquals("handles are left open", 0, Native.openHandles());
    }

    private static Map<Object, Object> map(Object... pairs) {
        Map<Object, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) map.put(pairs[i], pairs[i + 1]);
        return map;
    }

    /** With an equality that looks into byte[] and minds the order of maps. */
    private static Object comparable(Object value) {
        if (value instanceof byte[] bytes) return ByteBuffer.wrap(bytes);
        if (value instanceof List<?> list) return list.stream().map(CoppiceTest::comparable).toList();
        if (value instanceof Record record) return List.of("record", record.type(), comparable(record.fields()));
        if (value instanceof Map<?, ?> map)
            return List.of(
                    "map",
                    comparable(new ArrayList<Object>(map.keySet())),
                    comparable(new ArrayList<Object>(map.values())));
        return value;
    }

    private static void assertEqualValues(Object sent, Object back) {
        assertEquals(comparable(sent), comparable(back));
    }

    private static List<Object> nested(int lists) {
        List<Object> all = new ArrayList<>();
        for (int i = 1; i < lists; ++i) all = new ArrayList<>(List.of(all));
        return all;
    }

    private <T extends CoppiceException> void assertTold(Class<T> kind, String name, String words, ThrowingRunnable call) {
        T told = assertThrows(kind, call);
        assertEquals(name, told.codeName());
        assertTrue(told.getMessage(), told.getMessage().contains(words));
    }

    /** Lets b answer requests on a thread, until it is stopped. */
    private void serving(Consumer<Mail> answer, Runnable meanwhile) {
        Future<?> served = threads.submit(() -> {
            for (Mail mail : b) {
                try (mail) {
                    answer.accept(mail);
                }
            }
        });
        try {
            meanwhile.run();
        } finally {
            a.stop(toB);
            finish(served);
        }
    }

    private static <T> T finish(Future<T> work) {
        try {
            return work.get();
        } catch (InterruptedException | ExecutionException e) {
            throw new AssertionError(e);
        }
    }

    private static void answer(Mail mail) {
        if ("fail".equals(mail.value())) mail.fail("es geht nicht: ü");
        else if (!"drop".equals(mail.value())) mail.reply(mail.value());
    }

    private static void inReverse(List<Mail> requests) {
        for (int i = requests.size() - 1; i >= 0; --i) {
            try (Mail mail = requests.get(i)) {
                mail.reply(mail.value());
            }
        }
    }

    // ---- values

    @Test
    public void valuesArriveAsTheyWereSent() {
        for (Object value : VALUES) {
            a.send(toB, value);
            a.send(toB, value, LONG);
            for (int i = 0; i < 2; ++i) {
                try (Mail mail = b.receive(LONG)) {
                    assertEqualValues(value, mail.value());
                    assertFalse(mail.isRequest());
                }
            }
        }
    }

    @Test
    public void smallerNumbersArriveAsTheLargeOnesOfTheirKind() {
        a.send(toB, List.of((byte) -1, (short) -2, 3, BigInteger.TEN, 0.5f));
        try (Mail mail = b.receive(LONG)) {
            assertEquals(List.of(-1L, -2L, 3L, 10L, 0.5), mail.value());
        }
    }

    @Test
    public void taggedBytesArriveAlsoWithinOtherValues() {
        Tagged tagged = new Tagged(-1, new byte[] {0, '{', '}'});
        a.send(toB, tagged);
        a.send(toB, List.of(tagged, new Tagged(5, new byte[0])));
        try (Mail alone = b.receive(LONG);
                Mail within = b.receive(LONG)) {
            assertEquals(tagged, alone.value());
            List<?> parts = (List<?>) within.value();
            assertEquals(tagged, Tagged.of(parts.get(0)));
            assertEquals(new Tagged(5, new byte[0]), Tagged.of(parts.get(1)));
        }
        assertEquals(tagged, Tagged.of(Record.of(UINT64_MAX, tagged.content()))); // as it comes over a link
        assertNull(Tagged.of(Record.of(-1L, new byte[0])));
        assertNull(Tagged.of(Record.of(1L)));
        assertNull(Tagged.of(null));
    }

    @Test
    public void sixteenMebibytesArrive() {
        byte[] bytes = new byte[16 << 20];
        Arrays.fill(bytes, (byte) 0xAB);
        for (Object value : List.of("x".repeat(16 << 20), bytes)) {
            a.send(toB, value);
            try (Mail mail = b.receive(LONG)) {
                assertEqualValues(value, mail.value());
            }
        }
    }

    @Test
    public void aRefLeadsBack() {
        try (Ref own = a.ref()) {
            a.send(toB, List.of(own));
            try (Mail mail = b.receive(LONG);
                    Ref back = (Ref) ((List<?>) mail.value()).get(0);
                    Ref sender = mail.sender()) {
                assertEquals(own, back);
                assertEquals(sender, back);
                assertEquals(sender.hashCode(), back.hashCode());
                assertNotEquals(toB, back);
                assertTrue(own.toString(), own.toString().contains(a.path()));
                b.send(back, "here");
            }
        }
        try (Mail mail = a.receive(LONG)) {
            assertEquals("here", mail.value());
        }
    }

    @Test
    public void upTo32ListsAreWithinOneAnother() {
        a.send(toB, nested(32));
        try (Mail mail = b.receive(LONG)) {
            assertEquals(nested(32), mail.value());
        }
        assertThrows(CoppiceException.TooLarge.class, () -> a.send(toB, nested(33)));
        List<Object> itself = new ArrayList<>();
        itself.add(itself);
        assertThrows(CoppiceException.TooLarge.class, () -> a.send(toB, itself));
    }

    @Test
    public void whatCannotBeSentIsRefusedAndNothingIsLeft() {
        long before = Native.openHandles();
        List<Object> none = List.of(
                UINT64_MAX.add(BigInteger.ONE),
                List.of(1L, List.of(BigInteger.valueOf(Long.MIN_VALUE).subtract(BigInteger.ONE))),
                new Object(),
                'c',
                map("a", new Object()),
                map(new Object(), "a"),
                Record.of(1L, new int[0]),
                "\ud800",
                List.of("fine", "\udc00 not"));
        for (Object value : none) {
            assertThrows(IllegalArgumentException.class, () -> a.send(toB, value));
            assertThrows(IllegalArgumentException.class, () -> a.ask(toB, value));
            assertThrows(IllegalArgumentException.class, () -> a.publish("all", value));
        }
        assertThrows(NullPointerException.class, () -> a.send(null, 1));
        assertEquals(before, Native.openHandles());
        assertNull(b.poll());
    }

    // ---- asking

    @Test
    public void anAnswerIsWhatWasReplied() {
        serving(CoppiceTest::answer, () -> {
            for (Object value : VALUES) assertEqualValues(value, a.ask(toB, value, LONG));
        });
    }

    @Test
    public void aRequestThatIsNotAnsweredTellsWhy() {
        serving(CoppiceTest::answer, () -> {
            assertTold(CoppiceException.Failed.class, "failed", "es geht nicht: ü", () -> a.ask(toB, "fail", LONG));
            assertTold(CoppiceException.NoReply.class, "no_reply", "", () -> a.ask(toB, "drop", LONG));
        });
    }

    @Test
    public void askingHasALimit() {
        assertTold(CoppiceException.Timeout.class, "timeout", "", () -> a.ask(toB, "nobody receives", SHORT));
    }

    @Test
    public void aRequestIsAnsweredOnceAndLaterFromAnyThread() {
        Future<Object> first = threads.submit(() -> a.ask(toB, 1, LONG));
        Future<Object> second = threads.submit(() -> a.ask(toB, 2, LONG));
        List<Mail> requests = List.of(b.receive(LONG), b.receive(LONG));
        assertTrue(requests.get(0).isRequest());
        threads.submit(() -> inReverse(requests));
        assertEquals(1L, finish(first));
        assertEquals(2L, finish(second));

        Future<Object> third = threads.submit(() -> a.ask(toB, 3, LONG));
        try (Mail mail = b.receive(LONG)) {
            mail.reply(null);
            assertTold(CoppiceException.Closed.class, "closed", "", () -> mail.reply(2));
            assertTold(CoppiceException.Closed.class, "closed", "", () -> mail.fail("too late"));
        }
        assertNull(finish(third));
    }

    @Test
    public void twoThreadsGetTheirOwnAnswers() {
        serving(CoppiceTest::answer, () -> {
            List<Future<?>> both = new ArrayList<>();
            for (int thread = 0; thread < 2; ++thread) {
                String name = "thread " + thread;
                both.add(threads.submit(() -> {
                    for (long i = 0; i < 300; ++i)
                        assertEquals(List.of(name, i), a.ask(toB, List.of(name, i), LONG));
                }));
            }
            both.forEach(CoppiceTest::finish);
        });
    }

    // ---- mail

    @Test
    public void mailComesInOrder() {
        for (long i = 0; i < 1000; ++i) a.send(toB, i);
        for (long i = 0; i < 1000; ++i) {
            try (Mail mail = b.receive(LONG)) {
                assertEquals(i, mail.value());
            }
        }
        assertNull(b.poll());
        assertTold(CoppiceException.Timeout.class, "timeout", "", () -> b.receive(SHORT));
    }

    @Test
    public void theDescriptorWakesWhoeverPolls() {
        assertEquals(0, Poll.poll(b.descriptor(), 0));
        Future<Integer> woken = threads.submit(() -> Poll.poll(b.descriptor(), 60_000));
        a.send(toB, "wake up");
        assertEquals(Integer.valueOf(1), finish(woken));
        b.poll().close();
        assertEquals(0, Poll.poll(b.descriptor(), 0));
        a.stop(toB);
        assertEquals(1, Poll.poll(b.descriptor(), 60_000));
    }

    @Test
    public void whatWasPeekedAtStaysUntilItIsReceivedOrClosed() {
        assertThrows(CoppiceException.Timeout.class, () -> b.peek(Duration.ZERO));
        a.send(toB, "first");
        a.send(toB, "second");
        a.send(toB, "third");
        Mail seen = b.peek(LONG);
        assertSame(seen, b.peek(LONG));
        try (Mail mail = b.receive(LONG)) {
            assertSame(seen, mail);
            assertEquals("first", mail.value());
        }
        b.peek(LONG).close();
        assertEquals("third", b.peek(LONG).value()); // is closed with its actor
    }

    @Test
    public void mailEndsWithTheActor() {
        a.send(toB, "the last");
        a.stop(toB);
        List<Object> got = new ArrayList<>();
        for (Mail mail : b) {
            try (mail) {
                got.add(mail.value());
            }
        }
        assertEquals(List.of("the last"), got);
        assertTold(CoppiceException.Stopping.class, "stopping", "", () -> b.receive(LONG));
    }

    @Test
    public void whoWaitsForMailIsToldThatTheActorWasClosed() {
        Future<?> waiting = threads.submit(() -> {
            try (Mail mail = b.receive()) {
                mail.reply("waits next");
            }
            // Closed: it came too late to wait.
            CoppiceException end = assertThrows(CoppiceException.class, b::receive);
            assertTrue(end.codeName(), List.of("stopping", "closed").contains(end.codeName()));
        });
        a.ask(toB, "are you there", LONG);
        b.close();
        finish(waiting);
    }

    @Test
    public void theEndOfWhoIsMonitoredIsTold() {
        long forgotten = a.monitor(toB);
        long number = a.monitor(toB);
        assertNotEquals(forgotten, number);
        a.demonitor(forgotten);
        b.giveUp("no flour: ü");
        b.close();
        try (Mail mail = a.receive(LONG)) {
            assertTrue(mail.hasEnded());
            assertEquals(number, mail.number());
            assertTrue(mail.value().toString(), mail.value().toString().contains("no flour: ü"));
        }
        assertNull(a.poll());
        assertTold(CoppiceException.Down.class, "down", "", () -> a.ask(toB, 1, LONG));
    }

    @Test
    public void actorsAreKilledAndShutDown() {
        try (Actor c = node.actor();
                Ref toC = c.ref()) {
            a.monitor(toC);
            a.monitor(toB);
            a.kill(toC);
            try (Mail mail = a.receive(LONG)) {
                assertTrue(mail.value().toString(), mail.value().toString().contains("killed"));
            }
            a.shutdown(toB, LONG);
            assertThrows(CoppiceException.Stopping.class, () -> b.receive(LONG));
            b.close();
            try (Mail mail = a.receive(LONG)) {
                assertTrue(mail.hasEnded());
            }
        }
    }

    @Test
    public void toAGroupMailReachesTheOthers() {
        a.join("news");
        b.join("news");
        assertEquals(1, a.publish("news", Map.of("it", "rains")));
        try (Mail mail = b.receive(LONG)) {
            assertEquals(Map.of("it", "rains"), mail.value());
        }
        b.leave("news");
        assertEquals(0, a.publish("news", 1));
        assertNull(a.poll());
    }

    @Test
    public void aFullMailboxIsTold() {
        try (Actor c = node.actor("c", 1);
                Ref toC = c.ref()) {
            assertTold(CoppiceException.Timeout.class, "timeout", "", () -> {
                for (int i = 0; i < 5_000; ++i) a.send(toC, i, SHORT);
            });
            assertTold(CoppiceException.MailboxFull.class, "mailbox_full", "", () -> {
                for (int i = 0; i < 5_000; ++i) a.send(toC, i);
            });
        }
        assertThrows(IllegalArgumentException.class, () -> node.actor("d", -1));
    }

    // ---- names

    @Test
    public void namesAreTakenOnceAndFoundOnlyWhereSomebodyHasThem() {
        assertEquals("/" + TREE + "/a", a.path());
        assertTold(CoppiceException.NameTaken.class, "name_taken", "a", () -> node.actor("a"));
        assertTold(CoppiceException.NotFound.class, "not_found", "nobody", () -> a.find("/" + TREE + "/nobody"));
        assertTold(CoppiceException.Unreachable.class, "unreachable", "", () -> a.find("/elsewhere/nobody"));
        assertTold(CoppiceException.class, "bad_name", "", () -> node.actor("not a name/"));
        assertTold(CoppiceException.NotFound.class, "not_found", "", () -> Node.join("a-tree-that-does-not-run"));
        assertThrows(IllegalArgumentException.class, () -> a.find("/" + TREE + "\0/a"));
        assertThrows(NullPointerException.class, () -> a.find(null));
    }

    @Test
    public void aTreeIsJoinedByItsNameAndAtAnEndpoint() throws IOException {
        Path folder = Files.createTempDirectory("coppice-java");
        Path secret = Files.writeString(folder.resolve("secret"), "sixteen bytes of it, or more\n");
        String endpoint = "unix://" + folder.resolve("socket");
        Node.Options below = new Node.Options().parent(endpoint).secretFile(secret).logLevel(Level.OFF);
        try (Node root = new Node.Options()
                        .name(TREE + "-root")
                        .listen(endpoint)
                        .secretFile(secret)
                        .hold(LONG)
                        .joinWithin(LONG)
                        .logLevel(Level.OFF)
                        .open();
                Actor far = root.actor("far");
                Node leaf = below.name("leaf").open();
                Actor here = leaf.actor();
                Ref toFar = here.find(far.path())) {
            here.send(toFar, "over a link");
            try (Mail mail = far.receive(LONG)) {
                assertEquals("over a link", mail.value());
            }
            try (Node guest = new Node.Options().tree(TREE).logLevel(Level.OFF).open();
                    Actor there = guest.actor();
                    Ref toA = there.find(a.path())) {
                there.send(toA, "by name");
            }
            try (Mail mail = a.receive(LONG)) {
                assertEquals("by name", mail.value());
            }
            assertThrows(CoppiceException.class, () -> new Node.Options().parent(endpoint).logLevel(Level.OFF).open());
        } finally {
            Files.deleteIfExists(secret);
            Files.deleteIfExists(folder.resolve("socket"));
            Files.delete(folder);
        }
    }

    @Test
    public void typesHaveNumbers() {
        assertNotEquals(0, Coppice.typeId("shop::order"));
        assertNotEquals(Coppice.typeId("shop::bill"), Coppice.typeId("shop::order"));
        assertEquals(Coppice.typeId("shop::order"), Record.ofType("shop::order").type());
    }

    @Test
    public void whatIsLoggedHasALevel() {
        a.log("by default");
        for (Level level : List.of(Level.TRACE, Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR)) a.log(level, "grüß");
        assertThrows(CoppiceException.InvalidArgument.class, () -> a.log(Level.OFF, "is no level of a record"));
    }

    @Test
    public void thisProcessIsNoChild() {
        assertFalse(Coppice.isChild());
        assertTold(CoppiceException.NotFound.class, "not_found", "supervisor", () -> Coppice.runAsChild(me -> {}));
    }

    // ---- handles

    @Test
    public void whatWasClosedIsToldAsSuch() {
        Actor c = node.actor("c");
        c.close();
        c.close();
        assertTold(CoppiceException.Closed.class, "closed", "closed", c::path);
        assertTold(CoppiceException.Closed.class, "closed", "closed", c::receive);
        Ref ref = a.ref();
        ref.close();
        assertEquals("Ref(closed)", ref.toString());
        assertNotEquals(ref, toB);
        assertTold(CoppiceException.Closed.class, "closed", "closed", () -> a.send(ref, 1));
        assertTold(CoppiceException.Closed.class, "closed", "closed", () -> a.send(toB, List.of(1L, ref)));
        a.send(toB, 1);
        Mail mail = b.receive(LONG);
        mail.close();
        assertTold(CoppiceException.Closed.class, "closed", "closed", mail::value);
        node.actor("c").close(); // its name is free
    }

    @Test
    public void whatNobodyHasAnyMoreIsClosedByTheCollector() {
        long before = Native.openHandles();
        for (int i = 0; i < 100; ++i) a.ref().toString();
        assertTrue(Native.openHandles() > before);
        long until = System.nanoTime() + LONG.toNanos();
        while (Native.openHandles() != before) {
            assertTrue("the collector closes nothing", System.nanoTime() < until);
            System.gc();
        }
    }

    // ---- examples

    @Test
    public void helloSaysHelloAndIsToldThePrice() throws IOException, InterruptedException {
        try (Actor shop = node.actor("shop")) {
            Process hello = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                            "-Djava.library.path=" + System.getProperty("java.library.path"),
                            "-cp",
                            System.getProperty("java.class.path"),
                            "Hello",
                            TREE,
                            shop.path())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            try (Mail mail = shop.receive(LONG)) {
                assertEquals("hello", mail.value());
            }
            try (Mail mail = shop.receive(LONG)) {
                assertEquals(Map.of("price of", "tea"), mail.value());
                mail.reply(2.5);
            }
            assertEquals("2.5\n", new String(hello.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
            assertEquals(0, hello.waitFor());
        }
    }
}
