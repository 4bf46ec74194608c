%% The rows of suite `core` on Erlang/OTP. The launcher `erlang_core` beside this file picks the emulator's flags (one
%% scheduler, two for the rows of two threads) and calls main/1 with [Row, "json" | "text", "quick" | "full"].
%% What each row counts is written in ../../README.md, for all programs alike.
%%
%% In the cross ping-pongs {scheduler, N}, a spawn option that OTP has but does not document, keeps a process on scheduler
%% N; without it the virtual machine moves both processes to one scheduler and the row measures something else. In
%% fanin_cross placement is left to the virtual machine, which does three times better than with senders kept apart.
-module(erlang_core).
-behaviour(supervisor).
-export([main/1, init/1, start_child/0, idler/0]).

-define(FATAL, 0).
-define(SENDERS, 4).

main([Row, Format, Length]) ->
    put(json, Format =:= "json"),
    put(quick, Length =:= "quick"),
    try
        row(list_to_atom(Row)),
        halt(0)
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "erlang_core: row ~s: ~p ~p ~p~n", [Row, Class, Reason, Stack]),
            halt(1)
    end.

%% ---- pingpong, pairs8

row(pingpong) ->
    pairs(pingpong, 1, count(2500000));
row(pairs8) ->
    pairs(pairs8, 8, count(250000));

%% ---- ask: what gen_server:call does, without its layers: the monitor's reference is the address of the answer

row(ask) ->
    Rounds = count(1500000),
    Server = spawn(fun server/0),
    Taken = run([spawn_waiting([], fun() -> ask(Server, Rounds) end)]),
    per_second(ask, Rounds, Taken);

%% ---- fanin, fanin_cross: message queues have no bound; off_heap is the manual's advice for long ones

row(fanin) ->
    Each = count(1000000),
    Taken = fanin(Each),
    per_second(fanin, Each * ?SENDERS, Taken),
    value(fanin_rss, status_kib(<<"VmHWM:">>) / 1024, "MiB");
row(fanin_cross) ->
    Each = count(1000000),
    Taken = fanin(Each),
    per_second(fanin_cross, Each * ?SENDERS, Taken);

%% ---- pingpong_cross_*: the same; sleeping or polling is a flag of the emulator

row(pingpong_cross_sleep) ->
    cross(pingpong_cross_sleep, count(40000));
row(pingpong_cross_poll) ->
    cross(pingpong_cross_poll, count(200000));

%% ---- ring

row(ring) ->
    ring(ring, fun(Ring) -> Ring end);
row(ring_against) ->
    ring(ring_against, fun lists:reverse/1);

%% ---- spawn, idle

row(spawn) ->
    Count = count(1000000),
    Taken = run([spawn_waiting([], fun() -> breed(Count) end)]),
    per_second(spawn, Count, Taken);
row(idle) ->
    Count = count(1000000),
    Before = status_kib(<<"VmRSS:">>),
    Idlers = [spawn(fun() -> erlang:hibernate(?MODULE, idler, []) end) || _ <- lists:seq(1, Count)],
    timer:sleep(500),
    After = status_kib(<<"VmRSS:">>),
    true = is_process_alive(hd(Idlers)),
    value(idle, (After - Before) * 1024 / Count, "B");

%% ---- skynet

row(skynet) ->
    Leaves = 1000000,
    Main = self(),
    Start = now_ns(),
    spawn(fun() -> skynet_node(Main, 0, Leaves) end),
    Sum = receive Value -> Value end,
    Taken = now_ns() - Start,
    Sum = Leaves * (Leaves - 1) div 2,
    value(skynet, Taken / 1.0e6, "ms");

%% ---- restart: a linked parent traps the exit and spawns the next child; restart_supervisor: OTP's own

row(restart) ->
    Rounds = count(50000),
    Main = self(),
    spawn(fun() ->
        process_flag(trap_exit, true),
        Main ! {samples, link_rounds(Rounds, spawn_link(fun fragile/0), [])}
    end),
    median_us(restart, receive {samples, Samples} -> Samples end);
row(restart_supervisor) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    Samples = lists:append([supervised_rounds() || _ <- lists:seq(1, count(500))]),
    median_us(restart_supervisor, Samples);

%% ---- timers

row(timers) ->
    Count = count(3000000),
    Taken = run([spawn_waiting([], fun() -> set_and_cancel(Count) end)]),
    per_second(timers, Count, Taken).

%% ---- the processes

pairs(Row, Pairs, Rounds) ->
    Left = [begin
                Right = spawn(fun ponger/0),
                spawn_waiting([], fun() -> pinger(Right, Rounds) end)
            end || _ <- lists:seq(1, Pairs)],
    per_second(Row, Pairs * Rounds, run(Left)).

cross(Row, Rounds) ->
    Right = spawn_opt(fun ponger/0, [{scheduler, 2}]),
    per_second(Row, Rounds, run([spawn_waiting([{scheduler, 1}], fun() -> pinger(Right, Rounds) end)])).

ponger() ->
    receive {From, Value} -> From ! Value, ponger() end.

pinger(_, 0) -> ok;
pinger(Peer, Left) ->
    Peer ! {self(), Left},
    receive Left -> pinger(Peer, Left - 1) end.

server() ->
    receive {Reply, Value} -> Reply ! {Reply, Value + 1}, server() end.

ask(_, 0) -> ok;
ask(Server, Left) ->
    Reply = monitor(process, Server, [{alias, reply_demonitor}]),
    Server ! {Reply, Left},
    receive {Reply, Answer} -> Answer = Left + 1 end,
    ask(Server, Left - 1).

fanin(Each) ->
    Main = self(),
    Receiver = spawn_opt(fun() -> count_messages(Each * ?SENDERS), Main ! received end,
                         [{message_queue_data, off_heap}]),
    Start = now_ns(),
    [spawn(fun() -> blast(Receiver, Each) end) || _ <- lists:seq(1, ?SENDERS)],
    receive received -> now_ns() - Start end.

count_messages(0) -> ok;
count_messages(Left) -> receive Value when is_integer(Value) -> count_messages(Left - 1) end.

blast(_, 0) -> ok;
blast(Receiver, Left) -> Receiver ! Left, blast(Receiver, Left - 1).

%% The tokens go out in the order that Order gives: with the ring, or against it.
ring(Row, Order) ->
    Nodes = 1000,
    Hops = count(10000),
    Main = self(),
    [First | _] = Ring = [spawn(fun() -> receive {next, Next} -> ring_node(Next, Main) end end) || _ <- lists:seq(1, Nodes)],
    lists:foldr(fun(Node, Next) -> Node ! {next, Next}, Node end, First, Ring),
    timer:sleep(50),
    Start = now_ns(),
    [Node ! Hops || Node <- Order(Ring)],
    [receive done -> ok end || _ <- Ring],
    per_second(Row, Nodes * Hops, now_ns() - Start).

ring_node(Next, Main) ->
    receive
        0 -> Main ! done, ring_node(Next, Main);
        Left -> Next ! Left - 1, ring_node(Next, Main)
    end.

breed(0) -> ok;
breed(Left) ->
    Parent = self(),
    spawn(fun() -> Parent ! 1 end),
    receive 1 -> breed(Left - 1) end.

idler() ->
    receive _ -> ok end.

skynet_node(Parent, First, 1) -> Parent ! First;
skynet_node(Parent, First, Leaves) ->
    Part = Leaves div 10,
    Self = self(),
    [spawn(fun() -> skynet_node(Self, First + I * Part, Part) end) || I <- lists:seq(0, 9)],
    Parent ! lists:sum([receive Value -> Value end || _ <- lists:seq(1, 10)]).

fragile() ->
    receive
        ?FATAL -> exit(crash);
        {From, Value} -> From ! {answer, Value}, fragile()
    end.

link_rounds(0, _, Samples) -> Samples;
link_rounds(Left, Child, Samples) ->
    Start = now_ns(),
    Child ! ?FATAL,
    receive {'EXIT', Child, crash} -> ok end,
    Next = spawn_link(fun fragile/0),
    Next ! {self(), 7},
    receive {answer, 7} -> ok end,
    link_rounds(Left - 1, Next, [now_ns() - Start | Samples]).

%% Twenty crashes, then a new supervisor: one that has seen many walks the list of them at each further one, which no
%% supervisor with a sensible intensity does.
supervised_rounds() ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, one_for_one),
    Samples = [supervised_round() || _ <- lists:seq(1, 20)],
    exit(Supervisor, shutdown),
    receive {'EXIT', Supervisor, shutdown} -> Samples end.

%% The client knows the child by its name, as clients of a supervised process do, and looks for the new one.
supervised_round() ->
    Old = whereis(bench_child),
    Start = now_ns(),
    Old ! ?FATAL,
    ask_successor(Old),
    now_ns() - Start.

ask_successor(Old) ->
    case whereis(bench_child) of
        New when is_pid(New), New =/= Old -> New ! {self(), 7}, receive {answer, 7} -> ok end;
        _ -> erlang:yield(), ask_successor(Old)
    end.

init(one_for_one) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1},
          [#{id => child, start => {?MODULE, start_child, []}, restart => permanent}]}}.

start_child() ->
    Life = fun() ->
        register(bench_child, self()),
        proc_lib:init_ack({ok, self()}),
        fragile()
    end,
    proc_lib:start_link(erlang, apply, [Life, []]).

%% A window of 1000 pending timers, 1 to 60 s away; each round cancels the oldest and sets another.
set_and_cancel(Count) ->
    Pending = queue:from_list([erlang:start_timer(delay_ms(I), self(), due) || I <- lists:seq(1, 1000)]),
    set_and_cancel(Count, Pending).

set_and_cancel(0, Pending) ->
    [erlang:cancel_timer(Timer) || Timer <- queue:to_list(Pending)];
set_and_cancel(Left, Pending) ->
    {{value, Oldest}, Rest} = queue:out(Pending),
    erlang:cancel_timer(Oldest, [{async, true}, {info, false}]),
    set_and_cancel(Left - 1, queue:in(erlang:start_timer(delay_ms(Left), self(), due), Rest)).

delay_ms(I) -> 1000 + (I * 7919) rem 59000.

%% ---- measuring and printing

count(Full) ->
    case get(quick) of
        true -> Full div 10;
        false -> Full
    end.

%% Processes that wait for run/1, which takes the time until the last of them is through.
spawn_waiting(Options, Work) ->
    Main = self(),
    spawn_opt(fun() -> receive go -> Work(), Main ! through end end, Options).

run(Waiting) ->
    timer:sleep(50),
    Start = now_ns(),
    [Process ! go || Process <- Waiting],
    [receive through -> ok end || _ <- Waiting],
    now_ns() - Start.

now_ns() -> erlang:monotonic_time(nanosecond).

per_second(Row, Events, Nanoseconds) -> value(Row, Events * 1.0e9 / Nanoseconds, "1/s").

median_us(Row, Samples) ->
    value(Row, lists:nth(length(Samples) div 2 + 1, lists:sort(Samples)) / 1000, "us").

value(Row, Figure, Unit) ->
    case get(json) of
        true -> io:format("{\"row\":\"~s\",\"value\":~.6g,\"unit\":\"~s\"}~n", [Row, float(Figure), Unit]);
        false -> io:format("~-22s ~14.6g ~s~n", [Row, float(Figure), Unit])
    end.

status_kib(Key) ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Figure]} = re:run(Status, <<Key/binary, "\\s*([0-9]+)">>, [{capture, [1], list}]),
    list_to_integer(Figure).
