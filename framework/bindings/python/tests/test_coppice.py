"""The binding against the library, within one process; as a supervised child it is tested in tests/capi."""
import asyncio
import gc
import logging
import math
import os
import pathlib
import select
import subprocess
import sys
import threading
import unittest

import coppice
from coppice import _abi
from coppice import Error, Node, Record, Tagged

TREE = f"test-{os.getpid()}"  # found by its name on the whole machine

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64 - 1,
    0.0,
    -1.5,
    math.inf,
    5e-324,
    "",
    "text",
    "with a zero \0 inside",
    "four bytes: \U0001d11e",
    b"",
    b"\0\xff",
    [],
    [1, [2.5, ["three", None]]],
    {},
    {"name": "tea", 7: [b"x"], None: {True: False}},
    Tagged(2**64 - 1, b"\0{}"),
    Record([1, "x", [None]]),
    Record([1], coppice.type_id("shop::order")),
]


class WithTwoActors(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node(TREE, log_level=logging.CRITICAL)
        self.a = self.node.actor("a")
        self.b = self.node.actor("b")
        self.to_b = self.a.find(f"/{TREE}/b")
        self.addCleanup(self.end)

    def end(self) -> None:
        for handle in (self.to_b, self.a, self.b, self.node):
            handle.close()
        gc.collect()
        self.assertEqual(_abi.library.coppice_open_handles(), 0, "handles are left open")

    def serve(self, answer) -> None:
        """Lets b answer requests on a thread, until it ends."""

        def run() -> None:
            for mail in self.b:
                with mail:
                    answer(mail)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.a.stop, self.to_b)


class Values(WithTwoActors):
    def test_arrive_as_they_were_sent(self) -> None:
        for value in VALUES:
            with self.subTest(value=value):
                self.a.send(self.to_b, value)
                with self.b.receive(60) as mail:
                    self.assertEqual(mail.value, value)
                    self.assertIs(type(mail.value), type(value))
                    self.assertFalse(mail.is_request)

    def test_arrive_by_waiting_for_room_too(self) -> None:
        for value in VALUES:
            self.a.send(self.to_b, value, wait=60)
            with self.b.receive(60) as mail:
                self.assertEqual(mail.value, value)

    def test_not_a_number_stays_one(self) -> None:
        self.a.send(self.to_b, math.nan)
        with self.b.receive(60) as mail:
            self.assertTrue(math.isnan(mail.value))

    def test_of_sixteen_mebibytes_arrive(self) -> None:
        for value in ("x" * (16 << 20), b"y" * (16 << 20)):
            self.a.send(self.to_b, value)
            with self.b.receive(60) as mail:
                self.assertEqual(mail.value, value)

    def test_a_ref_leads_back(self) -> None:
        with self.a.ref as own:
            self.a.send(self.to_b, [own])
        with self.b.receive(60) as mail, mail.value[0] as back, mail.sender as sender:
            self.assertEqual(back, sender)
            self.b.send(back, "here")
        with self.a.receive(60) as mail:
            self.assertEqual(mail.value, "here")

    def test_that_cannot_be_sent_are_refused_and_nothing_is_left(self) -> None:
        before = _abi.library.coppice_open_handles()
        for value, error in (
            (2**64, OverflowError),
            ([1, [-(2**63) - 1]], OverflowError),
            (object(), TypeError),
            ({"a": {1, 2}}, TypeError),
            ("\ud800", UnicodeEncodeError),
        ):
            with self.subTest(value=value), self.assertRaises(error):
                self.a.send(self.to_b, value)
        self.assertEqual(_abi.library.coppice_open_handles(), before)
        with self.assertRaises(coppice.Timeout):
            self.b.receive(0)


class Asking(WithTwoActors):
    def answer(self, mail: coppice.Mail) -> None:
        if mail.value == "fail":
            mail.fail("it cannot be done")
        elif mail.value != "drop":
            mail.reply([mail.value])

    def test_returns_what_was_replied(self) -> None:
        self.serve(self.answer)
        for value in VALUES:
            self.assertEqual(self.a.ask(self.to_b, value, within=60), [value])

    def test_raises_what_it_came_back_with(self) -> None:
        self.serve(self.answer)
        with self.assertRaisesRegex(coppice.Failed, "it cannot be done"):
            self.a.ask(self.to_b, "fail", within=60)
        with self.assertRaises(Error) as told:
            self.a.ask(self.to_b, "drop", within=60)
        self.assertEqual(told.exception.name, "no_reply")

    def test_has_a_limit(self) -> None:
        with self.assertRaises(TimeoutError):
            self.a.ask(self.to_b, "nobody receives", within=0.01)

    def test_many_at_once_by_asyncio_get_their_own_answers(self) -> None:
        self.serve(self.answer)

        async def main() -> None:
            all_of_them = (self.a.ask_async(self.to_b, number, within=60) for number in range(300))
            self.assertEqual(await asyncio.gather(*all_of_them), [[number] for number in range(300)])
            with self.assertRaisesRegex(coppice.Failed, "it cannot be done"):
                await self.a.ask_async(self.to_b, "fail", within=60)

        asyncio.run(main())

    def test_twice_from_a_request_is_told(self) -> None:
        asked = threading.Thread(target=lambda: self.a.ask(self.to_b, 1, within=60))
        asked.start()
        with self.b.receive(60) as mail:
            self.assertTrue(mail.is_request)
            mail.reply(1)
            with self.assertRaises(coppice.Closed):
                mail.reply(2)
        asked.join()


class Mail(WithTwoActors):
    def test_comes_in_order_also_to_an_asyncio_loop_that_asks_meanwhile(self) -> None:
        for number in range(1000):
            self.b.send(own := self.a.ref, number)
            own.close()

        async def main() -> list[int]:
            got = []
            async for mail in self.a:
                with mail:
                    got.append(mail.value)
                if len(got) == 1000:
                    return got
            return got

        self.assertEqual(asyncio.run(main()), list(range(1000)))

    def test_wakes_whoever_waits_for_its_descriptor(self) -> None:
        self.assertEqual(select.select([self.b], [], [], 0)[0], [])
        self.a.send(self.to_b, "wake up")
        self.assertEqual(select.select([self.b], [], [], 60)[0], [self.b])
        self.b.receive(0).close()
        self.assertEqual(select.select([self.b], [], [], 0)[0], [])

    def test_ends_with_the_actor(self) -> None:
        self.a.send(self.to_b, "the last")
        self.a.stop(self.to_b)
        got = []
        for mail in self.b:
            with mail:
                got.append(mail.value)
        self.assertEqual(got, ["the last"])

    def test_tells_the_end_of_who_is_monitored(self) -> None:
        number = self.a.monitor(self.to_b)
        self.a.stop(self.to_b)
        for mail in self.b:
            mail.close()
        self.b.close()
        with self.a.receive(60) as mail:
            self.assertTrue(mail.has_ended)
            self.assertEqual(mail.number, number)

    def test_to_a_group_reaches_the_others(self) -> None:
        self.a.join("news")
        self.b.join("news")
        self.assertEqual(self.a.publish("news", {"it": "rains"}), 1)
        with self.b.receive(60) as mail:
            self.assertEqual(mail.value, {"it": "rains"})
        self.b.leave("news")
        self.assertEqual(self.a.publish("news", 1), 0)


class Names(WithTwoActors):
    def test_are_taken_once_and_found_only_where_somebody_has_them(self) -> None:
        with self.assertRaises(coppice.NameTaken):
            self.node.actor("a")
        with self.assertRaises(LookupError):
            self.a.find(f"/{TREE}/nobody")
        with self.assertRaises(ConnectionError):
            self.a.find("/elsewhere/nobody")
        self.assertEqual(self.a.path, f"/{TREE}/a")

    def test_of_trees_that_do_not_run_are_not_found(self) -> None:
        with self.assertRaises(coppice.NotFound):
            Node(tree="a-tree-that-does-not-run")

    def test_with_a_zero_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            self.a.find(f"/{TREE}\0/a")


class Examples(unittest.TestCase):
    def test_hello_says_hello_and_is_told_the_price(self) -> None:
        tree = f"market-{os.getpid()}"
        hello = pathlib.Path(__file__).parent.parent / "examples" / "hello.py"
        with Node(tree, log_level=logging.CRITICAL) as node, node.actor("shop") as shop:
            program = subprocess.Popen([sys.executable, hello, tree, shop.path], stdout=subprocess.PIPE, text=True)
            with shop.receive(60) as mail:
                self.assertEqual(mail.value, "hello")
            with shop.receive(60) as mail:
                self.assertEqual(mail.value, {"price of": "tea"})
                mail.reply(2.5)
            self.assertEqual(program.communicate()[0], "2.5\n")
            self.assertEqual(program.returncode, 0)


class Log(unittest.TestCase):
    def lines_of(self, lowest: int) -> list[list[str]]:
        program = (
            "import sys, coppice\n"
            "with coppice.Node('logging', log_level=int(sys.argv[1])) as node, node.actor('a') as me:\n"
            "    for level in (5, 10, 20, 30, 40, 50):\n"
            "        me.log('at ' + str(level), level)\n"
        )
        run = subprocess.run([sys.executable, "-c", program, str(lowest)], stderr=subprocess.PIPE, text=True, check=True)
        return [line.split()[2:] for line in run.stderr.splitlines() if "/logging/a at" in line]

    def test_has_records_at_their_levels(self) -> None:
        names = [("trace", "5"), ("debug", "10"), ("info", "20"), ("warning", "30"), ("error", "40"), ("error", "50")]
        self.assertEqual(self.lines_of(5), [[name, "/logging/a", "at", number] for name, number in names])

    def test_shows_what_is_at_least_as_grave_as_the_node_was_told(self) -> None:
        for lowest, shown in ((logging.DEBUG, 5), (logging.INFO, 4), (25, 3), (logging.ERROR, 2), (logging.CRITICAL, 0)):
            self.assertEqual(len(self.lines_of(lowest)), shown, lowest)


class Handles(WithTwoActors):
    def test_that_were_closed_are_told_as_such(self) -> None:
        actor = self.node.actor("c")
        at = actor._handle
        actor.close()
        actor.close()
        with self.assertRaises(coppice.Closed):
            _abi.made("self", at)

    def test_of_another_kind_are_refused(self) -> None:
        with self.assertRaises(coppice.InvalidArgument):
            _abi.made("self", self.to_b._handle)

    def test_are_refused_after_a_fork(self) -> None:
        child = os.fork()
        if child == 0:
            try:
                self.a.send(self.to_b, "from the child")
            except coppice.InvalidArgument:
                os._exit(0)
            os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)


if __name__ == "__main__":
    unittest.main()
