# Tells what a device is and how it is doing: one round trip, lines of "key=value", never a failure.
# For Android (toybox, mksh) and Linux boards (dash, busybox, coreutils). What cannot be read is left
# out. $1 is a folder to say the free space of; $2 stands before /proc and /sys, for tests.
#
# https://docs.kernel.org/admin-guide/pm/cpufreq.html
# https://docs.kernel.org/driver-api/thermal/sysfs-api.html
root=$2
cpus=$root/sys/devices/system/cpu

tell() { [ -n "$2" ] && printf '%s=%s\n' "$1" "$2"; }
# Forks are what a small device is slow at, so files are read by the shell itself.
first() {
    line=
    [ -r "$1" ] && IFS= read -r line <"$1" 2>/dev/null
    [ -n "$line" ]
}
file() { first "$2" && printf '%s=%s\n' "$1" "$line"; }
has() { command -v "$1" >/dev/null 2>&1; }

tell name "$(uname -n)"
tell architecture "$(uname -m)"
tell system "$(uname -srv)"
tell user "$(id -u)"
tell time "$(date -u +%s)"
file boot "$root/proc/sys/kernel/random/boot_id"
file load "$root/proc/loadavg"
tell memory "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' "$root/proc/meminfo" 2>/dev/null)"
# It ends in a zero byte, which shells leave out.
tell model "$(cat "$root/proc/device-tree/model" 2>/dev/null)"
grep -qs dummy-virt "$root/proc/device-tree/compatible" && tell emulator qemu
tell processor "$(sed -n 's/^model name[[:space:]]*: //p;s/^Hardware[[:space:]]*: //p' \
    "$root/proc/cpuinfo" 2>/dev/null | head -n 1)"
tell features "$(sed -nE 's/^(Features|flags)[[:space:]]*: //p' "$root/proc/cpuinfo" 2>/dev/null |
    head -n 1)"
# Only kernels of x86 have this file: where the programs are of another kind, something emulates.
[ -e "$root/proc/self/arch_status" ] && tell kernel_kind x86
grep -qs -e QEMU -e TCG "$root/proc/cpuinfo" && tell emulator qemu

file cpus.present "$cpus/present"
file cpus.online "$cpus/online"
tell cpus.count "$(nproc 2>/dev/null)"
for cpu in "$cpus"/cpu[0-9]*; do
    file "capacity.${cpu##*/cpu}" "$cpu/cpu_capacity"
done
sed -n 's/^CPU part[[:space:]]*: //p' "$root/proc/cpuinfo" 2>/dev/null | {
    number=0
    while read -r part; do
        tell "part.$number" "$part"
        number=$((number + 1))
    done
}
for policy in "$cpus"/cpufreq/policy[0-9]*; do
    [ -d "$policy" ] || continue
    for key in related_cpus scaling_governor scaling_cur_freq scaling_min_freq scaling_max_freq \
        cpuinfo_min_freq cpuinfo_max_freq scaling_available_governors; do
        file "policy.${policy##*/policy}.$key" "$policy/$key"
    done
    [ -w "$policy/scaling_governor" ] && tell "policy.${policy##*/policy}.writable" 1
done

for zone in "$root"/sys/class/thermal/thermal_zone[0-9]*; do
    first "$zone/type" && file "zone.${zone##*/thermal_zone}.$line" "$zone/temp"
done
for device in "$root"/sys/class/thermal/cooling_device[0-9]*; do
    first "$device/type" && file "cooling.${device##*/cooling_device}.$line" "$device/cur_state"
done
for supply in "$root"/sys/class/power_supply/*; do
    first "$supply/type" && [ "$line" = Battery ] || continue
    file battery.percent "$supply/capacity"
    file battery.status "$supply/status"
done
if has vcgencmd; then tell raspberry.throttled "$(vcgencmd get_throttled 2>/dev/null)"; fi
if has nvpmodel; then tell jetson.mode "$(nvpmodel -q 2>/dev/null | head -n 1)"; fi

if has getprop; then
    getprop 2>/dev/null | sed -nE \
        's/^\[(ro\.(product|soc|build|kernel)\.[a-z.]+)\]: \[(.*)\]$/property.\1=\3/p'
    dumpsys battery 2>/dev/null |
        sed -nE 's/^ *(AC powered|USB powered|level|scale|temperature): */android.battery.\1=/p'
    # "Cached temperatures" may be hours old.
    dumpsys thermalservice 2>/dev/null | sed -n '
        s/^Thermal Status: */android.thermal.status=/p
        /^Current temperatures from HAL/,/^Current cooling/ {
            s/.*mValue=\([^,]*\),.*mName=\([^,]*\),.*/android.thermal.\2=\1/p
        }'
    dumpsys power 2>/dev/null | sed -n 's/^ *mWakefulness=/android.wakefulness=/p' | head -n 1
    dumpsys window 2>/dev/null | sed -n 's/^ *mCurrentFocus=/android.foreground=/p' | head -n 1
    tell android.low_power "$(settings get global low_power 2>/dev/null)"
fi

for tool in setsid taskset sha256sum python3 su sudo cmd; do
    has "$tool" && tell "tool.$tool" 1
done
if has python3; then
    tell python "$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)"
fi
tell glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
df -Pk "$1" 2>/dev/null | tail -n 1 | { read -r _ _ _ free _ && tell free "$free"; }
echo end=1
