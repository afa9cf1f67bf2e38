# Stops the shared test servers when no test process uses them any more.
# Environment: DIR, the folder of TestStore. Runs under a lock on $DIR/watchdog, so there is one.
# Each test process holds a shared lock on $DIR/users for as long as it lives.
cd / || exit 1

# The servers that run on our data folder, whoever started them.
servers() {
    for found in $(grep -lsF -- "$DIR/data/" /proc/[0-9]*/cmdline); do
        case $(tr '\0' ' ' <"$found" 2>/dev/null) in
        *bin/postgres\ * | *redis-server\ *) basename "$(dirname "$found")" ;;
        esac
    done
}

if [ "${1-}" = stop ]; then
    for try in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
        pids=$(servers)
        [ -n "$pids" ] || break
        signal=INT
        [ "$try" -lt 10 ] || signal=QUIT
        [ "$try" -lt 15 ] || signal=KILL
        # shellcheck disable=SC2086 # A list of pids.
        kill -s "$signal" $pids 2>/dev/null
        sleep 0.5
    done
    rm -rf -- "$DIR/data" "$DIR/urls"
    exit 0
fi

while [ -d "$DIR" ]; do
    # Returns when the last user is gone.
    flock -x "$DIR/users" true || break
    # Under nextest there are moments between two test processes.
    sleep 3
    flock -n -x "$DIR/users" sh "$DIR/watchdog.sh" stop && exit 0
done
# The folder was removed under us (cargo clean): the servers have nothing to serve.
for pid in $(servers); do kill -s KILL "$pid"; done
