//! Nodes, actors and their mail, what ends them, and what is told of mistakes.
use std::env;
use std::os::raw::{c_int, c_short, c_ulong};
use std::os::unix::io::RawFd;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use coppice::{Actor, ActorOptions, Code, Error, Level, Mail, MailKind, Node, Ref, Value};

use crate::support::{alone, quiet, tree, with_two_actors, Two, LONG};

fn code<T: std::fmt::Debug>(outcome: coppice::Result<T>) -> Code {
    let error = outcome.unwrap_err();
    assert!(!error.text().is_empty(), "{:?} has no words", error.code());
    error.code()
}

fn next(actor: &Actor) -> Value {
    actor.receive_within(LONG).unwrap().value().unwrap()
}

// ---- asking

fn answer(mail: Mail) {
    match mail.value().unwrap().as_text() {
        Some("fail") => mail.fail("it cannot be done").unwrap(),
        Some("drop") => drop(mail),
        _ => mail.reply(Value::list([mail.value().unwrap()])).unwrap(),
    }
}

#[test]
fn asking_gives_the_answer_or_why_there_is_none() {
    with_two_actors(|two| {
        two.while_b_answers(answer, || {
            assert_eq!(two.a.ask(&two.to_b, "tea", LONG), Ok(Value::list(["tea"])));
            let failed = two.a.ask(&two.to_b, "fail", LONG).unwrap_err();
            assert_eq!((failed.code(), failed.text()), (Code::Failed, "it cannot be done"));
            assert_eq!(code(two.a.ask(&two.to_b, "drop", LONG)), Code::NoReply);
            assert_eq!(two.a.ask(&two.to_b, "again", LONG), Ok(Value::list(["again"])));
        });
    });
}

#[test]
fn asking_has_a_limit() {
    with_two_actors(|two| {
        let begin = Instant::now();
        assert_eq!(code(two.a.ask(&two.to_b, "nobody receives", Duration::from_millis(20))), Code::Timeout);
        assert!(begin.elapsed() >= Duration::from_millis(20));
    });
}

#[test]
fn a_request_is_answered_once_and_also_from_another_thread() {
    with_two_actors(|two| {
        thread::scope(|threads| {
            let asking = threads.spawn(|| two.a.ask(&two.to_b, "later", LONG));
            let mail = two.b.receive_within(LONG).unwrap();
            assert_eq!(mail.kind(), MailKind::Request);
            // This one is not held up by the first.
            two.a.send(&two.to_b, "meanwhile").unwrap();
            assert_eq!(next(&two.b), Value::from("meanwhile"));
            thread::spawn(move || {
                mail.reply("at last").unwrap();
                assert_eq!(code(mail.reply("once more")), Code::Closed);
                assert_eq!(code(mail.fail("or not")), Code::Closed);
            })
            .join()
            .unwrap();
            assert_eq!(asking.join().unwrap(), Ok(Value::from("at last")));
        });
    });
}

#[test]
fn answers_that_are_not_waited_for_come_as_mail() {
    with_two_actors(|two| {
        two.while_b_answers(answer, || {
            two.a.send(&two.a.me().unwrap(), "other mail").unwrap();
            for (question, outcome) in [
                ("tea", Ok(Value::list(["tea"]))),
                ("fail", Err((Code::Failed, "it cannot be done".to_string()))),
            ] {
                let number = two.a.ask_later(&two.to_b, question, LONG).unwrap();
                let mail = two.a.receive_answer(LONG).unwrap();
                assert_eq!((mail.kind(), mail.number().unwrap()), (MailKind::Answer, number));
                assert_eq!(mail.answer().map_err(|e| (e.code(), e.text().to_owned())), outcome);
            }
            assert_eq!(code(two.a.receive_answer(Duration::ZERO)), Code::Timeout);
            assert_eq!(next(&two.a), Value::from("other mail"));
        });
    });
}

#[test]
fn a_message_cannot_be_answered() {
    with_two_actors(|two| {
        two.a.send(&two.to_b, 1).unwrap();
        let mail = two.b.receive_within(LONG).unwrap();
        assert_eq!(code(mail.reply(2)), Code::InvalidArgument);
        assert_eq!(code(mail.number()), Code::InvalidArgument);
    });
}

// ---- mail

#[test]
fn receiving_has_a_limit() {
    with_two_actors(|two| {
        assert_eq!(code(two.b.receive_within(Duration::ZERO)), Code::Timeout);
        let begin = Instant::now();
        assert_eq!(code(two.b.receive_within(Duration::from_millis(20))), Code::Timeout);
        assert!(begin.elapsed() >= Duration::from_millis(20));
    });
}

#[repr(C)]
struct PollFd {
    fd: RawFd,
    events: c_short,
    revents: c_short,
}

extern "C" {
    fn poll(fds: *mut PollFd, count: c_ulong, milliseconds: c_int) -> c_int;
    fn fork() -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

fn is_readable(fd: RawFd, within: Duration) -> bool {
    const POLLIN: c_short = 1;
    let mut ready = PollFd { fd, events: POLLIN, revents: 0 };
    let count = unsafe { poll(&mut ready, 1, within.as_millis() as c_int) };
    assert!(count >= 0);
    count == 1 && ready.revents & POLLIN != 0
}

#[test]
fn mail_wakes_who_polls_the_descriptor() {
    with_two_actors(|two| {
        let fd = two.b.descriptor().unwrap();
        assert!(!is_readable(fd, Duration::ZERO));
        two.a.send(&two.to_b, "wake up").unwrap();
        assert!(is_readable(fd, LONG));
        assert_eq!(two.b.receive_within(Duration::ZERO).unwrap().value().unwrap(), Value::from("wake up"));
        assert!(!is_readable(fd, Duration::ZERO));
        two.a.stop(&two.to_b).unwrap();
        assert!(is_readable(fd, LONG));
        assert_eq!(code(two.b.receive_within(Duration::ZERO)), Code::Stopping);
    });
}

#[test]
fn mail_that_is_looked_at_stays() {
    with_two_actors(|two| {
        assert_eq!(code(two.b.peek(Duration::ZERO)), Code::Timeout);
        two.a.send(&two.to_b, 1).unwrap();
        two.a.send(&two.to_b, 2).unwrap();
        for _ in 0..3 {
            assert_eq!(two.b.peek(LONG).unwrap().value().unwrap(), Value::Int(1));
        }
        let seen = two.b.peek(LONG).unwrap();
        let first = two.b.receive_within(LONG).unwrap();
        assert_eq!((seen.value(), first.value()), (Ok(Value::Int(1)), Ok(Value::Int(1))));
        drop(first);
        assert_eq!(code(seen.value()), Code::Closed);
        // The second is left where it is when the actor ends, with its handle.
        assert_eq!(two.b.peek(LONG).unwrap().value().unwrap(), Value::Int(2));
    });
}

#[test]
fn a_request_that_is_looked_at_is_not_answered_by_that() {
    with_two_actors(|two| {
        thread::scope(|threads| {
            let asking = threads.spawn(|| two.a.ask(&two.to_b, "a question", LONG));
            assert!(two.b.peek(LONG).unwrap().is_request());
            two.b.receive_within(LONG).unwrap().reply("an answer").unwrap();
            assert_eq!(asking.join().unwrap(), Ok(Value::from("an answer")));
        });
    });
}

#[test]
fn mail_ends_with_the_actor() {
    with_two_actors(|two| {
        two.a.send(&two.to_b, "the last").unwrap();
        two.a.stop(&two.to_b).unwrap();
        let got: Vec<Value> = two.b.into_iter().map(|mail| mail.value().unwrap()).collect();
        assert_eq!(got, [Value::from("the last")]);
        assert_eq!(code(two.b.receive()), Code::Stopping);
    });
}

#[test]
fn the_end_of_who_is_monitored_is_told() {
    with_two_actors(|two| {
        let forgotten = two.a.monitor(&two.to_b).unwrap();
        two.a.forget_monitor(forgotten).unwrap();
        let number = two.a.monitor(&two.to_b).unwrap();
        two.b.give_up("no flour").unwrap();
        two.b.close();
        let mail = two.a.receive_within(LONG).unwrap();
        assert!(mail.has_ended());
        assert_eq!((mail.kind(), mail.number().unwrap()), (MailKind::Ended, number));
        let reason = mail.value().unwrap();
        assert!(reason.as_text().unwrap().contains("no flour"), "{reason:?}");
        assert_eq!(code(two.a.receive_within(Duration::ZERO)), Code::Timeout);
        assert_eq!(code(two.a.ask(&two.to_b, 1, LONG)), Code::Down);
    });
}

#[test]
fn an_actor_is_shut_down_or_killed() {
    with_two_actors(|two| {
        let c = two.node.actor("c").unwrap();
        let to_c = c.me().unwrap();
        two.a.shutdown(&two.to_b, LONG).unwrap();
        assert_eq!(code(two.b.receive_within(LONG)), Code::Stopping);
        let number = two.a.monitor(&to_c).unwrap();
        two.a.kill(&to_c).unwrap();
        let mail = two.a.receive_within(LONG).unwrap();
        assert_eq!((mail.has_ended(), mail.number().unwrap()), (true, number));
        assert_eq!(code(c.receive_within(LONG)), Code::Stopping);
    });
}

#[test]
fn mail_to_a_group_reaches_the_others() {
    with_two_actors(|two| {
        two.a.join("news").unwrap();
        two.b.join("news").unwrap();
        assert_eq!(two.a.publish("news", Value::map([("it", "rains")])), Ok(1));
        assert_eq!(next(&two.b), Value::map([("it", "rains")]));
        two.b.leave("news").unwrap();
        assert_eq!(two.a.publish("news", 1), Ok(0));
        assert_eq!(code(two.a.receive_within(Duration::ZERO)), Code::Timeout);
    });
}

#[test]
fn who_waits_for_room_does_so_up_to_the_limit() {
    with_two_actors(|two| {
        let small = two.node.actor_with(&ActorOptions::new().mailbox(4)).unwrap();
        let to = small.me().unwrap();
        // The library takes 256 ahead of the program, and 2,048 may be on their way.
        let refused = (0..10_000).find_map(|n| two.a.send_within(&to, n, Duration::from_millis(20)).err());
        assert_eq!(refused.map(|error| error.code()), Some(Code::Timeout));
        assert_eq!(next(&small), Value::Int(0));
    });
}

#[test]
fn mail_of_several_threads_comes_whole_and_in_each_ones_order() {
    const THREADS: i64 = 4;
    const EACH: i64 = 2000;
    with_two_actors(|two| {
        thread::scope(|threads| {
            for thread in 0..THREADS {
                threads.spawn(move || {
                    for n in 0..EACH {
                        two.a.send_within(&two.to_b, Value::record([thread, n]), LONG).unwrap();
                    }
                });
            }
            let mut expected = [0; THREADS as usize];
            for _ in 0..THREADS * EACH {
                let value = next(&two.b);
                let fields = &value.as_record().unwrap().fields;
                let thread = fields[0].as_u64().unwrap() as usize;
                assert_eq!(fields[1], Value::Int(expected[thread]));
                expected[thread] += 1;
            }
            assert_eq!(expected, [EACH; THREADS as usize]);
        });
    });
}

// ---- names

#[test]
fn names_are_taken_once_and_found_only_where_somebody_has_them() {
    with_two_actors(|two| {
        assert_eq!(two.a.path(), format!("/{}/a", tree()));
        assert_eq!(code(two.node.actor("a")), Code::NameTaken);
        assert_eq!(code(two.node.actor("a/b")), Code::BadName);
        assert_eq!(code(two.a.find(&format!("/{}/nobody", tree()))), Code::NotFound);
        assert_eq!(code(two.a.find("/elsewhere/nobody")), Code::Unreachable);
        assert_eq!(two.a.find(two.b.path()), Ok(two.to_b.clone()));
        let error = two.node.actor("a").unwrap_err();
        assert!(error.text().contains('a') && error.to_string() == error.text());
        two.b.close();
        two.node.actor("b").unwrap();
    });
}

#[test]
fn names_with_a_zero_are_refused() {
    with_two_actors(|two| {
        assert_eq!(code(two.a.find("/app\0/a")), Code::InvalidArgument);
        assert_eq!(code(two.node.actor("a\0")), Code::InvalidArgument);
        assert_eq!(code(two.a.join("news\0")), Code::InvalidArgument);
        assert_eq!(code(two.a.leave("news\0")), Code::InvalidArgument);
        assert_eq!(code(two.a.publish("news\0", 1)), Code::InvalidArgument);
        assert_eq!(code(Node::join("app\0")), Code::InvalidArgument);
        assert_eq!(code(Node::options().secret_file("a\0b").open()), Code::InvalidArgument);
    });
}

// ---- nodes

#[test]
fn a_tree_that_does_not_run_is_not_found() {
    alone(|| assert_eq!(code(Node::join("a-tree-that-does-not-run")), Code::NotFound));
}

#[test]
fn a_tree_is_joined_by_its_name_and_left() {
    with_two_actors(|two| {
        let guest = quiet().tree(tree()).open().unwrap();
        let me = guest.actor("me").unwrap();
        let to_b = me.find(two.b.path()).unwrap();
        me.send(&to_b, "from another node").unwrap();
        let mail = two.b.receive_within(LONG).unwrap();
        assert_eq!(mail.value().unwrap(), Value::from("from another node"));
        let to_me = mail.sender().unwrap().unwrap();
        two.b.send(&to_me, Value::list([&to_me, &two.to_b])).unwrap();
        assert_eq!(next(&me), Value::list([me.me().unwrap(), to_b]));

        let number = two.b.monitor(&to_me).unwrap();
        guest.close();
        let mail = two.b.receive_within(LONG).unwrap();
        assert_eq!((mail.has_ended(), mail.number().unwrap()), (true, number));
        assert_eq!(code(two.b.ask(&to_me, 1, LONG)), Code::NodeLost);
    });
}

#[test]
fn a_tree_is_joined_at_an_endpoint_with_a_secret() {
    alone(|| {
        let endpoint = format!("unix://{}-secret", tree());
        let secret = env::temp_dir().join(format!("{}.secret", tree()));
        std::fs::write(&secret, "tea at five\n").unwrap();
        let all = quiet().name(tree()).listen(&endpoint).secret_file(&secret).open().unwrap();
        let shop = all.actor("shop").unwrap();
        assert_eq!(code(quiet().parent(&endpoint).secret_env("HOME").open()), Code::WrongSecret);
        assert_eq!(code(quiet().parent(&endpoint).open()), Code::WrongSecret);
        let guest = quiet().parent(&endpoint).secret_file(&secret).join_within(LONG).open();
        std::fs::remove_file(&secret).unwrap();
        let me = guest.as_ref().unwrap().actor("me").unwrap();
        me.send(&me.find(shop.path()).unwrap(), "hello").unwrap();
        assert_eq!(next(&shop), Value::from("hello"));
    });
}

#[test]
fn a_node_ends_with_an_actor_that_stops_it() {
    with_two_actors(|two| {
        let last = two.node.actor_with(&ActorOptions::new().name("last").stops_node(true)).unwrap();
        last.close();
        assert_eq!(code(two.b.receive_within(LONG)), Code::Stopping);
    });
}

// ---- handles

#[test]
fn what_was_closed_is_told_as_such() {
    with_two_actors(|two| {
        let c = two.node.actor("c").unwrap();
        two.a.send(&two.to_b, 1).unwrap();
        let mail = two.b.receive_within(LONG).unwrap();
        for _ in 0..2 {
            c.close();
            mail.close();
        }
        assert_eq!(code(c.me()), Code::Closed);
        assert_eq!(code(c.send(&two.to_b, "x")), Code::Closed);
        assert_eq!(code(c.send(&two.to_b, Value::list(["x"]))), Code::Closed);
        assert_eq!(code(c.ask(&two.to_b, "x", LONG)), Code::Closed);
        assert_eq!(code(c.receive_within(LONG)), Code::Closed);
        assert_eq!(code(c.peek(LONG)), Code::Closed);
        assert_eq!(code(c.descriptor()), Code::Closed);
        assert_eq!(code(c.log(Level::Info, "x")), Code::Closed);
        assert_eq!(code(c.find(two.a.path())), Code::Closed);
        assert_eq!(c.into_iter().count(), 0);
        assert!(c.path().ends_with("/c"));
        assert_eq!(code(mail.value()), Code::Closed);
        assert_eq!(code(mail.reply(1)), Code::Closed);
        assert!(format!("{mail:?}").contains("closed"));
        two.node.close();
        assert_eq!(code(two.node.actor("d")), Code::Closed);
        assert_eq!(code(two.a.find(two.b.path())), Code::Stopping);
    });
}

#[test]
fn an_actor_lives_as_long_as_one_of_its_clones() {
    with_two_actors(|two| {
        let c = two.node.actor("c").unwrap();
        let clone = c.clone();
        let to_c = c.me().unwrap();
        drop(c);
        two.a.send(&to_c, 1).unwrap();
        assert_eq!(next(&clone), Value::Int(1));
        drop(clone);
        assert_eq!(code(two.a.find(&format!("/{}/c", tree()))), Code::NotFound);
    });
}

#[test]
fn who_receives_is_woken_when_another_thread_closes_the_actor() {
    with_two_actors(|two| {
        let (sender, receiver) = mpsc::channel();
        let b = two.b.clone();
        let waiting = thread::spawn(move || {
            sender.send(()).unwrap();
            code(b.receive())
        });
        receiver.recv().unwrap();
        two.b.close();
        // It may have begun to wait before or not.
        assert!(matches!(waiting.join().unwrap(), Code::Stopping | Code::Closed));
    });
}

#[test]
fn all_can_be_used_by_any_thread() {
    fn is_both<T: Send + Sync>() {}
    is_both::<Node>();
    is_both::<Actor>();
    is_both::<Ref>();
    is_both::<Mail>();
    is_both::<Value>();
    is_both::<Error>();
}

#[test]
fn the_library_refuses_to_work_after_a_fork() {
    with_two_actors(|two: &Two| {
        let mut status = -1;
        unsafe {
            let child = fork();
            if child == 0 {
                let outcome = two.a.send(&two.to_b, "from the child");
                let is_told = matches!(outcome, Err(error) if error.code() == Code::InvalidArgument);
                _exit(if is_told { 0 } else { 1 });
            }
            assert_eq!(waitpid(child, &mut status, 0), child);
        }
        assert_eq!(status, 0);
    });
}

#[test]
fn codes_have_the_numbers_and_names_of_the_table() {
    assert_eq!((Code::Timeout.number(), Code::Timeout.name()), (1, "timeout"));
    assert_eq!((Code::MailboxFull.number(), Code::MailboxFull.name()), (3, "mailbox_full"));
    assert_eq!((Code::TooLarge.number(), Code::TooLarge.to_string()), (29, "too_large".into()));
}

// ---- programs

#[test]
fn a_process_that_nobody_started_is_no_child() {
    alone(|| {
        assert!(!coppice::is_child());
        let body = |_: &Actor| -> coppice::Result<()> { panic!("it must not run") };
        assert_eq!(code(coppice::run_as_child(body)), Code::NotFound);
    });
}

#[test]
fn the_hello_of_the_examples_says_hello_and_is_told_the_price() {
    alone(|| {
        let program = env::current_exe().unwrap().parent().unwrap().join("../examples/hello");
        let market = format!("{}-market", tree());
        let node = quiet().name(&market).open().unwrap();
        let shop = node.actor("shop").unwrap();
        let program =
            Command::new(program).args([&market, shop.path()]).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(next(&shop), Value::from("hello"));
        let mail = shop.receive_within(LONG).unwrap();
        assert_eq!(mail.value().unwrap(), Value::map([("price of", "tea")]));
        mail.reply(2.5).unwrap();
        let told = program.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&told.stdout), "Real(2.5)\n");
        assert!(told.status.success());
    });
}
