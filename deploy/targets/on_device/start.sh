# Starts a job in a process group of its own, and stays until its end.
#
# $1 folder of all jobs, $2 id of this one, $3 seconds that it may take, $4 who holds the device,
# $5 number of that lease, $6... the command, which finds the job on its standard input and gets the
# path of its result as last argument.
#
# Exit status: that of the command; 74 when the disk is full, 75 when another job runs here, 76 when
# a later lease exists.
# A later lease of the same holder ends the jobs of the ones before it.
trap '' HUP PIPE    # the job outlives the link
jobs=$1 id=$2 seconds=$3 holder=$4 lease=$5
shift 5

# The same pid with another start time is another process.
# By the shell alone: on a slow device every program that is started costs.
started() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return
    # shellcheck disable=SC2086  # to be split
    set -- ${stat##*) }
    echo "${20}"
}
alive() { [ -n "$1" ] && [ -n "$2" ] && [ "$(started "$1")" = "$2" ]; }

mkdir -p "$jobs/$id" && cd "$jobs/$id" || exit 71
cat >job.json || exit 74

# One at a time decides who may start; a lock that nobody gave back is no lock.
tries=0
until mkdir "$jobs/deciding" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 20 ]; then rmdir "$jobs/deciding" 2>/dev/null; tries=0; fi
    sleep 0.2 2>/dev/null || sleep 1
done
refuse() { rmdir "$jobs/deciding"; cd "$jobs" && rm -rf "$id"; echo "$2" >&2; exit "$1"; }

latest=''
[ -f "$jobs/lease.$holder" ] && read -r latest <"$jobs/lease.$holder"
[ "${latest:-0}" -le "$lease" ] || refuse 76 "lease $latest came after lease $lease"
for other in "$jobs"/*/running; do
    [ -f "$other" ] || continue
    read -r pid start its_holder its_lease <"$other"
    alive "$pid" "$start" || continue
    if [ "$its_holder" = "$holder" ] && [ "$its_lease" -le "$lease" ]; then
        kill -9 "-$pid" 2>/dev/null
    else
        refuse 75 "$its_holder"
    fi
done
# A full disk must not make the device forget who may use it, nor what runs on it.
full() { refuse 74 "$jobs cannot be written; free some space there"; }
{ echo "$lease" >lease && mv lease "$jobs/lease.$holder"; } || full

setsid "$@" "$jobs/$id/result" <job.json 2>log &
pid=$!
if ! echo "$pid $(started "$pid") $holder $lease" >running; then
    kill -9 "-$pid" "$pid" 2>/dev/null    # it may have no group of its own yet
    full
fi
rmdir "$jobs/deciding"

# Nobody may be there any more to stop what hangs.
# shellcheck disable=SC2016  # the inner shell is to read these
setsid sh -c 'sleep "$1"; kill -9 "-$2"' sh "$seconds" "$pid" >/dev/null 2>&1 </dev/null &
watchdog=$!
wait "$pid"
status=$?
kill -9 "-$watchdog" 2>/dev/null
kill -9 "-$pid" 2>/dev/null     # what it may have left behind
echo "$status" >status
[ -s log ] && tail -n 5 log >&2
exit "$status"
