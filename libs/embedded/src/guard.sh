# Stops the servers of an embedded store when the process that started them is gone.
# Arguments: data folder, "yes" if it is to be removed. Standard input: "<server> <pid>" lines, then
# "done" on an orderly stop; the end of the input without "done" means that the owner was killed.
trap '' INT TERM HUP
data=$1 ephemeral=$2 pg= redis=
while read -r name pid; do
    case $name in
    postgres) pg=$pid ;;
    redis) redis=$pid ;;
    done) exit 0 ;;
    esac
done

# A pid is only a number: it is ours while its command line names our folder.
ours() { [ -n "$1" ] && grep -qsF -- "$data/" "/proc/$1/cmdline"; }
gone() {
    tries=$1
    while ours "$pg" || ours "$redis"; do
        [ "$tries" -gt 0 ] || return 1
        tries=$((tries - 1))
        sleep 0.1
    done
}

ours "$pg" && kill -INT "$pg"
ours "$redis" && kill -TERM "$redis"
if ! gone 100; then
    ours "$pg" && kill -QUIT "$pg"
    if ! gone 20; then
        ours "$pg" && kill -KILL "$pg"
        ours "$redis" && kill -KILL "$redis"
    fi
fi
[ "$ephemeral" = yes ] && rm -rf -- "$data"
exit 0
