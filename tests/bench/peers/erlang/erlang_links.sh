#!/bin/sh
# Runs rows of erlang_links.erl in two nodes; the command line is that of all programs here:
#   erlang_links [--row NAME]... [--json] [--quick] [--list]
# Expects erlang_links.beam and cut_path in its own folder; tests/bench/CMakeLists.txt puts all there. The far node listens on a port of
# its own choice below, so that no port mapper (epmd) is asked or started; it is ended by its number.
set -eu

all="tcp_cut_hole tcp_cut_refuse tcp_cut_reset"
for work in rtt oneway; do for size in 8 64 1k 64k 1m; do all="$all tcp_${work}_$size"; done; done
. "$(dirname "$0")/erlang_rows.sh"

far=
end_far() {
    [ -z "$far" ] || kill "$far" 2>/dev/null || true
    [ -z "$far" ] || wait "$far" 2>/dev/null || true
    far=
}
trap end_far EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Each node on a core of its own, the first and the last that there are for us, as links.hpp does it.
cores=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
on_first="taskset -c ${cores%%[-,]*}"
on_last="taskset -c ${cores##*[-,]}"

port=$((20000 + $$ % 20000))
common="+S 1:1 -noinput -start_epmd false -setcookie bench -kernel inet_dist_use_interface {127,0,0,1}"
for row in ${rows:-$all}; do
    $on_last erl $common -erl_epmd_port $port -pa "$(dirname "$0")" -sname "far$$@localhost" -run erlang_links far &
    far=$!
    case $row in
    tcp_cut_*) dials="-epmd_module erlang_links -far_port $port" ;;
    *) dials="-erl_epmd_port $port" ;;
    esac
    $on_first erl $common $dials -pa "$(dirname "$0")" -sname "near$$@localhost" -dist_listen false \
        -run erlang_links main "$row" "$format" "$length" "far$$@localhost"
    end_far
done
