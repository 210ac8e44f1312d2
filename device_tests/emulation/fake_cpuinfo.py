"""What ``/proc/cpuinfo`` says on ARM: engines read it, and crash on this host's own."""

CORTEX_A72 = (
    "BogoMIPS\t: 125.00\n"
    "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\n"
    "CPU implementer\t: 0x41\n"
    "CPU architecture: 8\n"
    "CPU variant\t: 0x0\n"
    "CPU part\t: 0xd08\n"
    "CPU revision\t: 3\n\n"
)


def cpuinfo(cpus: int) -> str:
    """Return the file of a machine with so many Cortex-A72."""
    return "".join(f"processor\t: {number}\n{CORTEX_A72}" for number in range(cpus))
