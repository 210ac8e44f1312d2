# Ends jobs and removes their folders: one, or with no id all of a holder.
#
# $1 folder of all jobs, $2 id of the job, or nothing; $3 who holds the device.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

cd "$1" 2>/dev/null || exit 0
for folder in ${2:-*}; do
    [ -d "$folder" ] || continue
    [ "$folder" != deciding ] || continue
    pid='' start='' holder=''
    [ -f "$folder/running" ] && read -r pid start holder _ <"$folder/running"
    [ -z "$2" ] && [ "$holder" != "$3" ] && [ -n "$holder" ] && continue
    if [ -n "$start" ] && [ "$(started "$pid")" = "$start" ]; then
        kill -9 "-$pid" 2>/dev/null
    fi
    rm -rf "$folder"
done
exit 0
