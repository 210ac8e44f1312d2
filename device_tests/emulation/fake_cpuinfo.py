"""What ``/proc/cpuinfo`` says on ARM: engines read it, and crash on this host's own."""

# What QEMU is told to be too. Left to itself it has every extension that it knows, and its SME is
# wrong in version 7.2: LiteRT's integer kernels that use it are off by a third of the output.
CPU = "cortex-a76"
CORTEX_A76 = (
    "BogoMIPS\t: 125.00\n"
    "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm "
    "lrcpc dcpop asimddp\n"
    "CPU implementer\t: 0x41\n"
    "CPU architecture: 8\n"
    "CPU variant\t: 0x4\n"
    "CPU part\t: 0xd0b\n"
    "CPU revision\t: 3\n\n"
)


def cpuinfo(cpus: int) -> str:
    """Return the file of a machine with so many Cortex-A76."""
    return "".join(f"processor\t: {number}\n{CORTEX_A76}" for number in range(cpus))
