%% The rows of suite `processes` on Erlang/OTP: a port program, which is what it has for code of other processes, and a tree of
%% supervisors. The launcher beside this file calls main/1 with [Row, "json" | "text", "quick" | "full"]; the port program is
%% raw_processes in the same folder. What each row counts is written in ../../README.md, for all programs alike.
-module(erlang_processes).
-behaviour(supervisor).
-export([main/1, init/1, start_family/1, start_worker/0]).

main([Row, Format, Length]) ->
    put(json, Format =:= "json"),
    put(quick, Length =:= "quick"),
    try
        row(list_to_atom(Row)),
        halt(0)
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "erlang_processes: row ~s: ~p ~p ~p~n", [Row, Class, Reason, Stack]),
            halt(1)
    end.

%% ---- process_start: a port program, to its first byte

row(process_start) ->
    Program = filename:join(filename:dirname(code:which(?MODULE)), "raw_processes"),
    Samples = [port_round(Program) || _ <- lists:seq(1, count(200))],
    value(process_start, lists:nth(length(Samples) div 2 + 1, lists:sort(Samples)) / 1000, "us");

%% ---- actors_10000: 100 supervisors with 100 children each below one supervisor

row(actors_10000_start) ->
    process_flag(trap_exit, true),
    Start = now_ns(),
    {ok, Tree} = supervisor:start_link(?MODULE, tree),
    Started = now_ns(),
    exit(Tree, shutdown),
    receive {'EXIT', Tree, shutdown} -> ok end,
    Ended = now_ns(),
    value(actors_10000_start, (Started - Start) / 1.0e6, "ms"),
    value(actors_10000_end, (Ended - Started) / 1.0e6, "ms").

port_round(Program) ->
    Start = now_ns(),
    Port = open_port({spawn_executable, Program}, [{args, ["--port"]}, binary, stream]),
    receive {Port, {data, _}} -> ok end,
    Taken = now_ns() - Start,
    port_close(Port),
    Taken.

init(tree) ->
    {ok, {#{strategy => one_for_one},
          [#{id => S, start => {?MODULE, start_family, [S]}, type => supervisor} || S <- lists:seq(1, 100)]}};
init({family, _}) ->
    {ok, {#{strategy => one_for_one},
          [#{id => C, start => {?MODULE, start_worker, []}} || C <- lists:seq(1, 100)]}}.

start_family(S) -> supervisor:start_link(?MODULE, {family, S}).

start_worker() ->
    Life = fun() -> proc_lib:init_ack({ok, self()}), wait() end,
    proc_lib:start_link(erlang, apply, [Life, []]).

wait() -> receive stop -> ok; _ -> wait() end.

%% ---- measuring and printing

count(Full) ->
    case get(quick) of
        true -> Full div 10;
        false -> Full
    end.

now_ns() -> erlang:monotonic_time(nanosecond).

value(Row, Figure, Unit) ->
    case get(json) of
        true -> io:format("{\"row\":\"~s\",\"value\":~.6g,\"unit\":\"~s\"}~n", [Row, float(Figure), Unit]);
        false -> io:format("~-22s ~14.6g ~s~n", [Row, float(Figure), Unit])
    end.
