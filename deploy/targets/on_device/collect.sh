# Tells how a job stands that nobody listened to: the words "running", "gone", or "ended STATUS";
# then, if there is one, its result line.
#
# $1 folder of all jobs, $2 id of the job.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

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
