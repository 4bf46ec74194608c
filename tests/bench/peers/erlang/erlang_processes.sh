#!/bin/sh
# Runs a row of erlang_processes.erl; the command line is that of all programs here:
#   erlang_processes [--row NAME]... [--json] [--quick] [--list]
# Expects erlang_processes.beam and raw_processes in its own folder; tests/bench/CMakeLists.txt puts all of them there.
set -eu

all="process_start actors_10000_start"
. "$(dirname "$0")/erlang_rows.sh"

for row in ${rows:-$all}; do
    erl +S 1:1 -noinput -pa "$(dirname "$0")" -run erlang_processes main "$row" "$format" "$length"
done
