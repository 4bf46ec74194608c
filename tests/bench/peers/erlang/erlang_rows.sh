# The command line of both launchers; each sources this after it has set `all`, the names of its rows. Sets `rows`, `format`
# (text, json) and `length` (full, quick); --list ends the program.
program=$(basename "$0")
rows=
format=text
length=full
while [ $# -gt 0 ]; do
    case $1 in
    --row)
        [ $# -gt 1 ] || { echo "$program: --row needs a name" >&2; exit 2; }
        rows="$rows $2"
        shift
        ;;
    --json) format=json ;;
    --quick) length=quick ;;
    --list) printf '%s\n' $all; exit 0 ;;
    *) echo "usage: $0 [--row NAME]... [--json] [--quick] [--list]" >&2; exit 2 ;;
    esac
    shift
done

for row in ${rows:-$all}; do
    known=no
    for name in $all; do [ "$row" = "$name" ] && known=yes; done
    [ $known = yes ] || { echo "$program: no row '$row'; --list names them" >&2; exit 2; }
done
