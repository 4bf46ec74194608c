%% The rows of suite `links` on Erlang/OTP's distribution, which has TCP alone: two nodes on this machine, a scheduler each.
%% The launcher `erlang_links` starts both; far/0 runs in the one, main/1 with [Row, "json" | "text", "quick" | "full", Far]
%% in the other. What a row counts is written in ../../README.md. The runtime suspends a sender whose connection is busy.
%% Where the path is cut, the near node takes this module in place of the port mapper's: the far node is at the path's end.
-module(erlang_links).
-export([main/1, far/0]).
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3, address_please/3, names/1]).

%% ---- the far end: returns what it is asked to return

far() ->
    register(far, self()),
    far_loop().

far_loop() ->
    receive
        {answer, From, Bytes} ->
            touch(Bytes),
            From ! {answered, Bytes},
            far_loop();
        {usage, From} ->
            From ! {usage, usage()},
            far_loop();
        {numbered, Number, _} ->
            put(seen, [{Number, os:system_time(nanosecond)} | case get(seen) of undefined -> []; Seen -> Seen end]),
            far_loop();
        {seen, From, Since} ->
            From ! {seen, seen(case get(seen) of undefined -> []; Seen -> Seen end, Since)},
            far_loop();
        {stop, _} ->
            halt(0);
        Bytes when is_binary(Bytes) ->
            touch(Bytes),
            far_loop()
    end.

%% ---- the near end

main([Row, Format, Length, Far]) ->
    try
        ["tcp", Work, Size] = string:split(Row, "_", all),
        Work =:= "cut" andalso outage(Row, Size, Format, Far),
        To = {far, list_to_atom(Far)},
        wait_for(list_to_atom(Far), 200),
        Bytes = binary:copy(<<1>>, size_of(Size)),
        {WarmUp, Measured} = case Length of "quick" -> {10, 60}; _ -> {100, 600} end,
        _ = play(Work, To, Bytes, WarmUp),
        Before = both(To),
        {Messages, Figures, Unit} = play(Work, To, Bytes, Measured),
        After = both(To),
        [Cpu, Wakeups] = [(A - B) / Messages || {A, B} <- lists:zip(After, Before)],
        print(Format, Row, Unit, Figures ++ [{"cpu_s", Cpu * 1.0e6}, {"wakeups", Wakeups * 1.0e6}]),
        To ! {stop, self()},
        timer:sleep(20),
        halt(0)
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "erlang_links: row ~s: ~p ~p ~p~n", [Row, Class, Reason, Stack]),
            halt(1)
    end.

size_of("8") -> 8;
size_of("64") -> 64;
size_of("1k") -> 1024;
size_of("64k") -> 64 * 1024;
size_of("1m") -> 1024 * 1024.

wait_for(Node, Attempts) when Attempts > 0 ->
    case net_kernel:connect_node(Node) andalso rpc:call(Node, erlang, whereis, [far]) of
        Far when is_pid(Far) -> ok;
        _ -> timer:sleep(20), wait_for(Node, Attempts - 1)
    end.

play("rtt", To, Bytes, Milliseconds) ->
    Start = now_ns(),
    Samples = lists:sort(round_trips(To, Bytes, Start + Milliseconds * 1000000, Start, [])),
    Count = length(Samples),
    At = fun(Part) -> lists:nth(max(1, trunc(Count * Part)), Samples) / 1000 end,
    {2 * Count, [{"value", At(0.5)}, {"p99", At(0.99)}], "us"};
play("oneway", To, Bytes, Milliseconds) ->
    Start = now_ns(),
    Burst = case byte_size(Bytes) > 1024 of true -> 4; false -> 64 end,
    Count = bursts(To, Bytes, Burst, Start + Milliseconds * 1000000, 0),
    answered(To, Bytes),
    {Count, [{"value", Count * 1.0e9 / (now_ns() - Start)}], "1/s"}.

round_trips(To, Bytes, End, Last, Samples) ->
    answered(To, Bytes),
    case now_ns() of
        Now when Now < End -> round_trips(To, Bytes, End, Now, [Now - Last | Samples]);
        Now -> [Now - Last | Samples]
    end.

answered(To, Bytes) ->
    To ! {answer, self(), Bytes},
    receive {answered, Back} -> touch(Back) end.

bursts(To, Bytes, Burst, End, Count) ->
    send(To, Bytes, Burst),
    case now_ns() < End of
        true -> bursts(To, Bytes, Burst, End, Count + Burst);
        false -> Count + Burst
    end.

send(_, _, 0) -> ok;
send(To, Bytes, Left) -> To ! Bytes, send(To, Bytes, Left - 1).

touch(Bytes) -> binary:last(Bytes).

now_ns() -> erlang:monotonic_time(nanosecond).

%% ---- a path that is cut: numbered messages, 10,000 a second; the times are those of links/outage.hpp

outage(Row, How, Format, Far) ->
    To = {far, list_to_atom(Far)},
    Program = filename:join(filename:dirname(code:which(?MODULE)), "cut_path"),
    Path = open_port({spawn_executable, Program}, [{line, 100}, binary]),
    {ok, [[Port]]} = init:get_argument(far_port),
    persistent_term:put(dialled, asked(Path, Port)),
    wait_for(list_to_atom(Far), 200),
    Outage = case How of "reset" -> 0; _ -> 2000 end,
    Start = now_ns(),
    Sender = self(),
    Conductor = spawn_link(fun() ->
        timer:sleep(500),
        Outage > 0 andalso asked(Path, How),
        timer:sleep(Outage),
        Sender ! {back, asked(Path, case How of "reset" -> "reset"; _ -> "open" end)},
        receive never -> ok end  % the path ends with its owner
    end),
    port_connect(Path, Conductor),
    unlink(Path),
    Sent = send_due(To, Start, Start + (2000 + Outage) * 1000000, 0),
    Back = receive {back, Time} -> Time end,
    {Received, Doubled, First} = settled(To, Back, Sent, 0, 0),
    Gap = case First of 0 -> infinity; _ -> (First - Back) / 1.0e6 end,
    print(Format, Row, "ms",
          [{"value", Gap}, {"sent", Sent}, {"refused", 0}, {"lost", Sent - Received}, {"doubled", Doubled}]),
    To ! {stop, self()},
    timer:sleep(20),
    halt(0).

asked(Path, Line) ->
    true = port_command(Path, [Line, "\n"]),
    receive {Path, {data, {eol, Answer}}} -> binary_to_integer(Answer) end.

send_due(To, Start, End, Sent) ->
    Now = now_ns(),
    Due = (Now - Start) div 100000,
    [To ! {numbered, Number, <<0:(56 * 8)>>} || Number <- lists:seq(Sent, Due - 1)],
    case Now < End of
        true -> timer:sleep(1), send_due(To, Start, End, max(Sent, Due));
        false -> max(Sent, Due)
    end.

%% All have come, or nothing has come for 1.5 s.
settled(To, Back, Sent, Before, Quiet) ->
    To ! {seen, self(), Back},
    {Received, _, _} = Seen = receive {seen, S} -> S after 1000 -> {Before, 0, 0} end,
    case Received >= Sent orelse (Quiet >= 15 andalso Received =:= Before) of
        true -> Seen;
        false ->
            timer:sleep(100),
            settled(To, Back, Sent, Received, case Received of Before -> Quiet + 1; _ -> 0 end)
    end.

seen(All, Since) ->
    Received = length(lists:usort([Number || {Number, _} <- All])),
    After = [At || {_, At} <- All, At > Since],
    {Received, length(All) - Received, case After of [] -> 0; _ -> lists:min(After) end}.

%% What net_kernel asks of a port mapper.
start_link() -> ignore.
register_node(_, _) -> {ok, 1}.
register_node(_, _, _) -> {ok, 1}.
port_please(Name, Host) -> port_please(Name, Host, infinity).
port_please(_, _, _) -> {port, persistent_term:get(dialled), 6}.
address_please(_, _, _) -> {ok, {127, 0, 0, 1}}.
names(_) -> {error, address}.

%% ---- processor seconds and voluntary context switches, of all threads of both runtimes

both(To) ->
    To ! {usage, self()},
    receive {usage, There} -> [A + B || {A, B} <- lists:zip(usage(), There)] end.

usage() ->
    Tasks = "/proc/" ++ os:getpid() ++ "/task/",
    {ok, Threads} = file:list_dir(Tasks),
    Each = [[first_number(Tasks ++ T ++ "/schedstat") / 1.0e9, switches(Tasks ++ T ++ "/status")] || T <- Threads],
    [lists:sum([C || [C, _] <- Each]), lists:sum([W || [_, W] <- Each])].

first_number(File) ->
    {ok, Text} = file:read_file(File),
    [First | _] = string:lexemes(Text, " \n"),
    binary_to_integer(First).

switches(File) ->
    {ok, Text} = file:read_file(File),
    {match, [Count]} = re:run(Text, "^voluntary_ctxt_switches:\\s*(\\d+)", [multiline, {capture, all_but_first, binary}]),
    binary_to_integer(Count).

%% ---- result lines, as program.hpp prints them

print("json", Row, Unit, Figures) ->
    Named = [io_lib:format(",\"~s\":~s", [Name, number(F, "Infinity")]) || {Name, F} <- Figures],
    io:format("{\"row\":\"~s\",\"unit\":\"~s\"~s}~n", [Row, Unit, Named]);
print("text", Row, Unit, [{"value", Value} | More]) ->
    Named = [io_lib:format("  ~s ~s", [Name, number(F, "inf")]) || {Name, F} <- More],
    io:format("~-22s ~14s ~s~s~n", [Row, number(Value, "inf"), Unit, Named]).

number(infinity, Word) -> Word;
number(Figure, _) -> io_lib:format("~.6g", [float(Figure)]).
