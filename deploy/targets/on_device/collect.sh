# Tells how a job stands that nobody listened to: the words "running", "gone", or "ended STATUS";
# then, if there is one, its result line.
#
# $1 folder of all jobs, $2 id of the job.
# By the shell alone: on a slow device every program that is started costs.
started() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return
    # shellcheck disable=SC2086  # to be split
    set -- ${stat##*) }
    echo "${20}"
}

cd "$1/$2" 2>/dev/null || { echo gone; exit 0; }
pid='' start=''
[ -f running ] && read -r pid start _ <running
if [ -s status ]; then    # an empty one found no room on the disk
    echo "ended $(cat status)"
elif [ -n "$start" ] && [ "$(started "$pid")" = "$start" ]; then
    echo running
    exit 0
else
    echo gone
fi
[ -f result ] && cat result
exit 0
