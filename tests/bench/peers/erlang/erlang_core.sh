#!/bin/sh
# Runs a row of erlang_core.erl with the emulator's flags for it; the command line is that of all programs here:
#   erlang_core [--row NAME]... [--json] [--quick] [--list]
# Expects erlang_core.beam in its own folder; tests/bench/CMakeLists.txt puts both there.
set -eu

all="pingpong ask fanin ring ring_against spawn idle skynet restart restart_supervisor pairs8 fanin_cross
pingpong_cross_sleep pingpong_cross_poll timers"
. "$(dirname "$0")/erlang_rows.sh"

for row in ${rows:-$all}; do
    # +sbwt: how long a scheduler without work polls before it sleeps
    case $row in
    pingpong_cross_sleep) flags="+S 2:2 +sbwt none" ;;
    pingpong_cross_poll) flags="+S 2:2 +sbwt very_long" ;;
    pairs8 | fanin_cross) flags="+S 2:2" ;;
    *) flags="+S 1:1" ;;
    esac
    erl $flags +P 4000000 -noinput -pa "$(dirname "$0")" -run erlang_core main "$row" "$format" "$length"
done
