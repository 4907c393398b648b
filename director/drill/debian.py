# Debian's own kernel, unpacked below .build and never installed, and the first file system that it
# boots with.
#
# - The kernel is unpacked from its bzImage once: QEMU starts an ELF kernel directly (PVH), and
#   emulated, the kernel's own unpacking takes three seconds of each boot.
# - The first file system holds a Python, what guest.py imports, and the modules that lead to the
#   host's tree. Nothing else is needed, no busybox and no shell.
"""A distribution's kernel for QEMU, and its initramfs."""

import lzma
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from director.drill.engines import GUEST
from director.drill.host import need_tools
from director.errors import SystemLacks

PACKAGE = "linux-image-amd64"  # depends on the one that has the kernel
CACHE = Path(".build", "qemu")
XZ_MAGIC = b"\xfd7zXZ\0"
TOOLS = {"apt-get": "apt", "dpkg": "dpkg", "depmod": "kmod", "ldd": "libc-bin"}
# Until the host's tree is there. Without the generic crc32c, libcrc32c and so ip_vs are refused.
FIRST_MODULES = ("crc32c_generic", "virtio_pci", "virtio_console", "9p", "9pnet_virtio")
CONSOLE = (5, 1)
MOUNT_POINTS = {"/dev", "/host", "/mnt", "/proc"}
# What a Python imports to run guest.py, and what of it are files.
ASK_IMPORTS = """
import runpy, sys
runpy.run_path(sys.argv[1], run_name="guest")
for module in list(sys.modules.values()):
    for name in ("__file__", "__cached__"):
        print(getattr(module, name, None) or "")
"""


class Kernel(msgspec.Struct, frozen=True):
    """`image` is what QEMU boots, `modules` the folder with modules.dep."""

    image: Path
    modules: Path


def find_kernel() -> Kernel:
    """The one in the cache, which is filled if it is empty. Raises SystemLacks."""
    cache = CACHE.absolute()
    found = sorted(cache.glob("linux-image-*/lib/modules/*"))
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _fetch(Path(folder), cache)
        found = sorted(cache.glob("linux-image-*/lib/modules/*"))
    modules = found[-1]
    return Kernel(modules.parents[2] / "image", modules)


def _fetch(folder: Path, cache: Path) -> None:
    """Download and unpack; what appears in the cache is whole."""
    need_tools(TOOLS)
    depends = _run("apt-cache", "depends", "--important", PACKAGE)
    names = [word for word in depends.split() if word.startswith("linux-image-")]
    package = next((name for name in names if name != PACKAGE), None)
    if package is None:
        raise SystemLacks(f"apt knows no {PACKAGE}", mend="apt-get update")
    # As root, for the sandbox's user may not write here.
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", package, folder=folder)
    root = folder / package
    for archive in folder.glob("*.deb"):
        _run("dpkg", "--extract", str(archive), str(root))
    # With a merged /usr or without.
    if not (root / "lib" / "modules").exists():
        (root / "lib").symlink_to("usr/lib")
    release = next((root / "lib" / "modules").iterdir()).name
    _run("depmod", "--basedir", str(root), release)
    (root / "image").write_bytes(unpacked((root / "boot" / f"vmlinuz-{release}").read_bytes()))
    try:
        root.rename(cache / package)
    except OSError:  # another run was faster
        shutil.rmtree(root)


def unpacked(image: bytes) -> bytes:
    """The ELF kernel in a bzImage; the bzImage itself where it was not packed with xz."""
    at = image.find(XZ_MAGIC)
    if at < 0:
        return image
    # What follows the packed kernel is not ours.
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(image[at:])


def initramfs(kernel: Kernel, folder: Path) -> Path:
    """The first file system for machines of this run, made once for each."""
    path = folder / "initramfs"
    if not path.exists():
        new = folder / "initramfs.new"
        new.write_bytes(b"".join(_archive(kernel)))
        new.rename(path)
    return path


def interpreter() -> str:
    """The Python binary itself, which a virtual environment only points at."""
    return os.path.realpath(sys.executable)


def _archive(kernel: Kernel) -> Iterator[bytes]:
    files = {path: Path(path) for path in (*_python_files(), str(GUEST))}
    for number, module in enumerate(_first_modules(kernel)):
        files[f"/modules/{number:02}-{module.name}"] = module
    folders = {str(parent) for path in files for parent in Path(path).parents} | MOUNT_POINTS
    for name in sorted(folders - {"/"}):
        yield _entry(name, stat.S_IFDIR | 0o755)
    yield _entry("/dev/console", stat.S_IFCHR | 0o600, device=CONSOLE)
    for name, source in files.items():
        # With its time: byte code is only taken for the source that it was made of.
        when = int(source.stat().st_mtime)
        yield _entry(name, stat.S_IFREG | 0o755, source.read_bytes(), when)
    yield _entry("/TRAILER!!!", 0)


def _entry(
    name: str, mode: int, data: bytes = b"", when: int = 0, device: tuple[int, int] = (0, 0)
) -> bytes:
    """One file in cpio's "newc" form (the kernel's Documentation/driver-api/early-userspace)."""
    path = name[1:].encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device of the file, of the node, name, checksum
    fields = (0, mode, 0, 0, 1, when, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _python_files() -> list[str]:
    python = interpreter()
    told = set(_run(python, "-I", "-S", "-c", ASK_IMPORTS, str(GUEST)).splitlines())
    files = [name for name in told if name.startswith("/") and Path(name).is_file()]
    binaries = [python, *(name for name in files if name.endswith(".so"))]
    libraries = {
        word
        for binary in binaries
        for word in _run("ldd", binary).split()
        if word.startswith("/") and not word.endswith(":")
    }
    return sorted({*files, python, *libraries})


def _first_modules(kernel: Kernel) -> list[Path]:
    """FIRST_MODULES and what they need, in the order in which they load."""
    needs = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[Path(path).name.partition(".")[0]] = [*rest.split()[::-1], path]
    paths = [path for name in FIRST_MODULES for path in needs.get(name, ())]
    return [kernel.modules / path for path in dict.fromkeys(paths)]


def _run(*argv: str, folder: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemLacks(
            f"no kernel for QEMU: {' '.join(argv)}: {done.stderr.strip()[-500:]}",
            mend="apt-get update, and see that a Debian mirror can be reached",
        )
    return done.stdout
