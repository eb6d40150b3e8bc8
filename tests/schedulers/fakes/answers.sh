# Shared by the stand-ins for the schedulers' commands. Each call is noted in $FAKE_DIR/calls: its words, one a line,
# after a line with the name of the command; a script on the standard input is kept as $FAKE_DIR/input-N.
set -u
name=${0##*/}
count=$(($(grep -c "^>$name\$" "$FAKE_DIR/calls" 2>/dev/null) + 1))
{
    echo ">$name"
    printf '%s\n' "$@"
} >> "$FAKE_DIR/calls"

# Whether this is the call that $FAKE_REFUSED wants to fail.
is_refused() { [ "$count" = "${FAKE_REFUSED:-}" ]; }

# The value after an option, or after its long form and '='.
value_of() {
    option=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            "$option") echo "$2"; return ;;
            "$option="*) echo "${1#*=}"; return ;;
        esac
        shift
    done
}

last_of() { for word do :; done; echo "$word"; }
