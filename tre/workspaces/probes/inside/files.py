"""Attempts to read what is not this workspace's, to write what must not change, and to make what must not exist."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable

from tre.workspaces.probes.inside.attempt import Given, attempt

MOUNTS, FILTER, LIMITS, CLIENT = "mount namespace", "system call filter", "limits", "release client"
HOME = "/home/researcher"


def _read_any(paths: Iterable[str]) -> str | None:
    """The first of these files or folders that can be read."""
    refusal: OSError | None = None
    for path in paths:
        try:
            if os.path.isdir(path):
                return f"{path} holds {sorted(os.listdir(path))[:5]}"
            with open(path, "rb") as stream:
                return f"{path} begins with {stream.read(16)!r}"
        except OSError as error:
            refusal = error
    if refusal is None:
        raise RuntimeError("there is no target")
    raise refusal


def _write_any(folders: Iterable[str]) -> str | None:
    """The first of these places in which a file can be made."""
    refusal: OSError | None = None
    for folder in folders:
        path = os.path.join(folder, ".probe")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            os.unlink(path)
            return f"a file in {folder}"
        except OSError as error:
            refusal = error
    if refusal is None:
        raise RuntimeError("there is no target")
    raise refusal


@attempt(MOUNTS, "read another workspace's home, by its path on the host", "other_home")
def other_home(given: Given) -> str | None:
    return _read_any([given["other_home"]])


@attempt(MOUNTS, "read another project's data, by its path on the host", "other_data")
def other_data(given: Given) -> str | None:
    return _read_any(given["other_data"])


@attempt(MOUNTS, "find data of another project below /data", "own_data_names")
def foreign_names_below_data(given: Given) -> str | None:
    names = set(os.listdir("/data")) - set(given["own_data_names"])
    return f"{sorted(names)}" if names else None


@attempt(MOUNTS, "read a file that the verifier left in the host's temporary folder", "canary_file")
def host_temporary_file(given: Given) -> str | None:
    return _read_any([given["canary_file"]])


@attempt(MOUNTS, "read the platform's state and run folders", "platform_folders")
def platform_folders(given: Given) -> str | None:
    return _read_any(given["platform_folders"])


@attempt(MOUNTS, "read the host's accounts and configuration in /etc")
def host_etc(given: Given) -> str | None:
    own = {"passwd", "group", "nsswitch.conf", "hosts", "ipython"}
    more = set(os.listdir("/etc")) - own
    with open("/etc/passwd") as stream:
        accounts = {line.split(":")[0] for line in stream}
    return (
        f"{sorted(more)[:5]}, accounts {sorted(accounts)[:5]}" if more or accounts - {"researcher", "nobody"} else None
    )


@attempt(MOUNTS, "see other people's homes")
def host_homes(given: Given) -> str | None:
    more = set(os.listdir("/home")) - {"researcher"}
    return f"{sorted(more)}" if more else None


@attempt(MOUNTS, "read /root")
def host_root_home(given: Given) -> str | None:
    return _read_any(["/root"])


@attempt(MOUNTS, "read /var")
def host_var(given: Given) -> str | None:
    return _read_any(["/var/log", "/var/lib", "/var"])


@attempt(MOUNTS, "read /sys, /boot, /mnt, /media, /srv or /usr/local")
def host_other_folders(given: Given) -> str | None:
    return _read_any(["/sys", "/boot", "/mnt", "/media", "/srv", "/usr/local"])


@attempt(MOUNTS, "reach the host's file system through another process's root or working folder", "canary_file")
def through_proc_root(given: Given) -> str | None:
    below = [f"{link}{given['canary_file']}" for link in glob.glob("/proc/[0-9]*/root") + glob.glob("/proc/[0-9]*/cwd")]
    return _read_any([*below, "/proc/1/root/../.." + given["canary_file"]])


@attempt(MOUNTS, "write to the project's data", "own_data_names")
def write_to_data(given: Given) -> str | None:
    return _write_any([f"/data/{name}" for name in given["own_data_names"]] + ["/data"])


@attempt(MOUNTS, "change a file of the project's data in place", "own_data_names")
def change_data(given: Given) -> str | None:
    for name in given["own_data_names"]:
        for folder, _, files in os.walk(f"/data/{name}"):
            for file in files:
                os.close(os.open(os.path.join(folder, file), os.O_RDWR))
                return f"{folder}/{file} is open for writing"
    raise RuntimeError("there is no data to try it on")


@attempt(MOUNTS, "write to the Python environment or its interpreter")
def write_to_environment(given: Given) -> str | None:
    python = os.path.dirname(os.path.realpath("/opt/tre/env/bin/python"))
    return _write_any(
        [*glob.glob("/opt/tre/env/lib/python*/site-packages"), "/opt/tre/env/bin", "/opt/tre/env", python]
    )


@attempt(MOUNTS, "write to the start programs or the library packages")
def write_to_our_programs(given: Given) -> str | None:
    return _write_any(
        ["/opt/tre/start", "/opt/tre/lib", "/opt/tre/lib/release", "/etc/ipython", "/etc/ipython/startup"]
    )


@attempt(MOUNTS, "write to system folders")
def write_to_system(given: Given) -> str | None:
    return _write_any(["/", "/usr/bin", "/usr/lib", "/etc", "/opt", "/run", "/home", "/data", "/dev"])


@attempt(MOUNTS, "replace a secret or the intake socket by a link")
def swap_socket_for_link(given: Given) -> str | None:
    target = "/run/tre/intake.sock"
    os.symlink("/etc/passwd", "/run/tre/.link")
    os.rename("/run/tre/.link", target)
    return f"{target} is a link of its own"


@attempt(MOUNTS, "put a socket of its own where others look for the intake's or the database's")
def socket_in_shared_folder(given: Given) -> str | None:
    return _write_any([path for path in ("/run/tre", "/run/tre/intake", "/run/tre/postgresql") if os.path.isdir(path)])


@attempt(FILTER, "make a device file")
def make_device(given: Given) -> str | None:
    path = f"{HOME}/.probe-device"
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(254, 0))
    os.unlink(path)
    return "a block device"


@attempt(MOUNTS, "find a disk or another device in /dev")
def host_devices(given: Given) -> str | None:
    own = {"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty"}
    own |= {"urandom", "zero", "console"}
    more = set(os.listdir("/dev")) - own
    return f"{sorted(more)[:5]}" if more else None


@attempt(FILTER, "make a program that runs as its owner (setuid), which would be the platform's user outside")
def make_setuid(given: Given) -> str | None:
    path = f"{HOME}/.probe-setuid"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        os.chmod(path, 0o4755)  # noqa: S103
        return f"mode {stat.filemode(os.stat(path).st_mode)}"
    finally:
        os.unlink(path)


@attempt("no new privileges", "gain rights from a setuid program of the system")
def setuid_program(given: Given) -> str | None:
    with open("/proc/self/status") as stream:
        status = dict(line.split(":", 1) for line in stream)
    if status["NoNewPrivs"].strip() != "1":
        return "new privileges are possible"
    with open("/proc/self/mountinfo") as stream:
        loose = [line.split()[4] for line in stream if "nosuid" not in line.split()[5]]
    return f"setuid counts on {loose[:3]}" if loose else None


@attempt(MOUNTS, "change the kernel's settings below /proc")
def write_to_proc(given: Given) -> str | None:
    places = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches"]
    places += ["/proc/sysrq-trigger", "/proc/sys/net/ipv4/ip_forward", "/proc/self/oom_score_adj"]
    for path in places:
        try:
            os.close(os.open(path, os.O_WRONLY))
            return f"{path} is open for writing"
        except OSError as error:
            refusal = error
    raise refusal


@attempt(MOUNTS, "read kernel-wide entries of /proc: keys, addresses, locks, memory")
def kernel_wide_proc(given: Given) -> str | None:
    names = ("keys", "kcore", "kallsyms", "kmsg", "locks", "timer_list", "cmdline", "config.gz")
    return _read_any([f"/proc/{name}" for name in names])


@attempt(LIMITS, "write a file larger than allowed", "file_bytes")
def file_too_large(given: Given) -> str | None:
    import signal

    path = f"{HOME}/.probe-large"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.ftruncate(descriptor, given["file_bytes"] + 1)
        return f"a file of {given['file_bytes'] + 1} bytes"
    finally:
        os.close(descriptor)
        os.unlink(path)


@attempt(LIMITS, "fill memory through the temporary folders", "memory_bytes")
def fill_temporary_folders(given: Given) -> str | None:
    for place in ("/tmp", "/dev/shm", "/run/jupyter"):  # noqa: S108
        system = os.statvfs(place)
        if not 0 < system.f_blocks * system.f_frsize <= given["memory_bytes"]:
            return f"{place} takes {system.f_blocks * system.f_frsize} bytes"
    return _write_any(["/", "/dev"])


def _fifo(_: str, path: str) -> None:
    os.mkfifo(path)


def _socket(_: str, path: str) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


@attempt(CLIENT, "submit a FIFO, a socket, a device or a link as an output: nothing waits for it or follows it")
def hostile_outputs(given: Given) -> str | None:
    import sys

    sys.path.insert(0, "/opt/tre/lib")
    from release.errors import ReleaseError  # type: ignore[import-not-found]
    from release.files import File, read  # type: ignore[import-not-found]

    path = f"{HOME}/.probe-output"
    made = ((_fifo, ""), (_socket, ""), (os.symlink, "/etc/passwd"), (os.symlink, "/dev/zero"))
    for make, source in made:
        make(source, path)
        try:
            data: bytes = read(File(path), 1 << 20)
            return f"{len(data)} bytes were read"
        except ReleaseError:
            continue
        finally:
            os.unlink(path)
    for device in ("/dev/zero", "/dev/null", "/dev/tty", "/dev/ptmx"):
        try:
            data = read(File(device), 1 << 20)
            return f"{len(data)} bytes of {device} were read"
        except ReleaseError:
            continue
    return None
