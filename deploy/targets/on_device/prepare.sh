# Makes the folder of a job that is yet to start, for files that it alone needs; first it removes the
# folders of this holder's jobs that have ended, which a host that died may have left full.
#
# $1 folder of all jobs, $2 id of the job, $3 who holds the device, $4 number of that lease.
# By the shell alone: on a slow device every program that is started costs.
started() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return
    # shellcheck disable=SC2086  # to be split
    set -- ${stat##*) }
    echo "${20}"
}

mkdir -p "$1" && cd "$1" || exit 73
for other in */running; do
    [ -f "$other" ] || continue
    read -r pid start holder _ <"$other"
    [ "$holder" = "$3" ] && [ "$(started "$pid")" != "$start" ] && rm -rf "${other%/running}"
done
# Its owner stands there from the beginning; no process has the number 0.
mkdir "$2" && echo "0 0 $3 $4" >"$2/running"
