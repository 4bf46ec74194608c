%% The rows of suite `links` on Erlang/OTP's distribution, which has TCP alone: two nodes on this machine, a scheduler each.
%% The launcher `erlang_links` starts both; far/0 runs in the one, main/1 with [Row, "json" | "text", "quick" | "full", Far]
%% in the other. What a row counts is written in ../../README.md. The runtime suspends a sender whose connection is busy.
-module(erlang_links).
-export([main/1, far/0]).

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
    Named = [io_lib:format(",\"~s\":~.6g", [Name, float(F)]) || {Name, F} <- Figures],
    io:format("{\"row\":\"~s\",\"unit\":\"~s\"~s}~n", [Row, Unit, Named]);
print("text", Row, Unit, [{"value", Value} | More]) ->
    Named = [io_lib:format("  ~s ~.6g", [Name, float(F)]) || {Name, F} <- More],
    io:format("~-22s ~14.6g ~s~s~n", [Row, float(Value), Unit, Named]).
