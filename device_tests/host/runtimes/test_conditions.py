from pathlib import Path

from groundspeed.runtimes.conditions import memory_bytes, read_conditions, read_machine


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_board_is_read_as_the_kernel_documents_it(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp\nHardware\t: BCM2712\n",
            "proc/device-tree/model": "Raspberry Pi 5 Model B\0",
            "proc/meminfo": "MemTotal:        4194304 kB\nMemFree: 1 kB\n",
            "proc/loadavg": "0.50 0.40 0.30 1/100 999\n",
            "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
            "sys/class/thermal/thermal_zone0/temp": "51250\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
            "sys/class/thermal/cooling_device0/cur_state": "1\n",
            "sys/class/power_supply/BAT0/capacity": "80\n",
        },
    )
    machine = read_machine(root)
    assert machine.model == "Raspberry Pi 5 Model B"
    assert machine.governor == "performance"
    assert machine.features == ("asimd", "asimddp")
    assert machine.memory_bytes == 4 * 2**30
    conditions = read_conditions(root)
    assert conditions.frequencies_hz == {"cpu0": 2.4e9}
    assert conditions.temperatures_c == {"thermal_zone0 cpu-thermal": 51.25}
    assert conditions.load == 0.5
    assert conditions.throttled is True
    assert conditions.battery == 0.8


def test_what_cannot_be_read_is_none_and_never_guessed(tmp_path: Path) -> None:
    machine, conditions = read_machine(tmp_path), read_conditions(tmp_path)
    assert (machine.model, machine.memory_bytes, machine.governor, machine.emulated) == (None,) * 4
    assert conditions.frequencies_hz is None
    assert conditions.temperatures_c is None
    assert conditions.load is None
    assert conditions.throttled is None
    assert conditions.battery is None


def test_a_sensor_that_says_nonsense_is_left_out(tmp_path: Path) -> None:
    _write(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "n/a\n"})
    assert read_conditions(tmp_path).temperatures_c is None


def test_memory_is_read_in_bytes(tmp_path: Path) -> None:
    _write(tmp_path, {"proc/self/status": "VmPeak:\t 9 kB\nVmHWM:\t     300 kB\n"})
    assert memory_bytes("VmHWM", tmp_path) == 300 * 1024
    assert memory_bytes("VmRSS", tmp_path) is None
