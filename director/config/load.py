# The file on disk: texts to documents. All that knows tomli and the disk is here.
#
# The text is someone's mistake until shown otherwise: its size is bounded, and whatever the parser
# says becomes a fault with a line.
"""Read the file: `load` for a Config or all its faults, `read` for warnings too."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import tomli

from director.config.faults import Findings, Key
from director.config.networks import outside
from director.config.readers import listed
from director.config.resolve import Resolved, resolve
from director.config.sources import Document, Source
from director.config.vips import Bare
from director.errors import ConfigError, Fault
from director.model.address import Prefix
from director.model.config import Config

SIZE_MAX = 64 * 1024 * 1024
# Where a secret's path stands; "*" is any name.
SECRETS: tuple[Key, ...] = (
    ("link", "key_file"),
    ("api", "token_file"),
    ("vrrp", "*", "auth", "secret_file"),
    ("nodes", "*", "vrrp", "*", "auth", "secret_file"),
)
OTHERS = 0o007


class Loaded(msgspec.Struct, frozen=True):
    """A right file: its Config, what is allowed and probably not meant, and its texts.

    `keepalived` maps a node that runs it to the piece of keepalived.conf that fits this file.
    """

    config: Config
    warnings: tuple[Fault, ...]
    document: Document
    bare: tuple[Bare, ...]
    keepalived: dict[str, str]

    def check_networks(self, networks: dict[str, list[Prefix]]) -> tuple[Fault, ...]:
        """VIPs without a length that are in no network of their interface.

        `networks` is what the kernel has, by device.
        """
        return self.document.place(outside(self.bare, networks))


def load(path: Path, *, node: str | None, host: str) -> Config:
    """The file as one node sees it. Raises ConfigError with all faults."""
    return read(path, node=node, host=host).config


def read(path: Path, *, node: str | None, host: str) -> Loaded:
    """Like `load`, with warnings and what `check_networks` needs."""
    name = str(path)
    data = _bytes_of(path, name)
    main = parse(data, name)
    found = Findings()
    sources, texts, faults = _included(path, main, found)
    document = Document(main, sources, found)
    _check_secrets(document, found)
    resolved = resolve(document.take(), node, host, found)
    return _finish(document, resolved, file_digest([data, *texts]), found, faults)


def check_text(
    text: str, *, node: str | None = None, host: str = "", file: str = "director.toml"
) -> Loaded:
    """The same for a text alone: no disk, no includes, no look at secrets."""
    data = text.encode("utf-8", "surrogatepass")
    found = Findings()
    document = Document(parse(data, file), (), found)
    resolved = resolve(document.take(), node, host, found)
    return _finish(document, resolved, file_digest([data]), found, [])


def file_digest(texts: Iterable[bytes]) -> str:
    """sha256 over all texts, the main one first: of one file what `sha256sum` says."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text)
    return digest.hexdigest()


def parse(data: bytes, name: str) -> Source:
    """Text to tables. Raises ConfigError for what is no TOML."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _broken(name, line, "is not UTF-8", "save the file as UTF-8") from None
    try:
        return Source(name, text, tomli.loads(text))
    except tomli.TOMLDecodeError as error:
        fault = f"is not TOML: {error.msg}, column {error.colno}"
        raise _broken(name, error.lineno, fault, "mend the syntax there") from None
    except RecursionError:
        fault = "nests arrays or tables too deeply"
        raise _broken(name, 0, fault, "take levels out") from None
    except ValueError as error:
        raise _broken(name, 0, f"is not TOML: {error}", "write a shorter number") from None


def _finish(
    document: Document, resolved: Resolved, digest: str, found: Findings, faults: list[Fault]
) -> Loaded:
    faults = [*faults, *document.place(found.faults.values())]
    if faults:
        raise ConfigError(*faults)
    assert resolved.config is not None
    config = msgspec.structs.replace(
        resolved.config, digest=digest, file=document.main.name, cores=os.cpu_count() or 1
    )
    warnings = document.place(found.warnings.values())
    return Loaded(config, warnings, document, resolved.bare, resolved.keepalived)


def _broken(name: str, line: int, fault: str, mend: str) -> ConfigError:
    return ConfigError(Fault(fault=fault, mend=mend, file=name, line=line))


def _bytes_of(path: Path, name: str) -> bytes:
    try:
        # Without waiting for a writer: it might be a pipe that nobody writes to.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise _broken(name, 0, "is a pipe", "write a file")
            data = file.read(SIZE_MAX + 1)
    except FileNotFoundError:
        mend = "write it, or say where it is with --config"
        raise _broken(name, 0, "there is no such file", mend) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        mend = "make it a file that the user of this process can read"
        raise _broken(name, 0, f"cannot be read: {reason}", mend) from None
    if len(data) > SIZE_MAX:
        raise _broken(name, 0, "is above 64 MiB", "split the pair, or remove what is not needed")
    return data


def _included(
    path: Path, main: Source, found: Findings
) -> tuple[list[Source], list[bytes], list[Fault]]:
    """What `include` names, each file once, in the order of the globs and of the names."""
    written = main.raw.get("include", [])
    sources: list[Source] = []
    texts: list[bytes] = []
    faults: list[Fault] = []
    seen: set[Path] = set()
    for index, pattern in enumerate(listed(written)):
        key: Key = ("include", index) if isinstance(written, list) else ("include",)
        for file in _matches(path, pattern, key, found) if isinstance(pattern, str) else ():
            if file in seen:
                continue
            seen.add(file)
            try:
                data = _bytes_of(file, str(file))
                sources.append(parse(data, str(file)))
                texts.append(data)
            except ConfigError as error:
                faults.extend(error.faults)
    return sources, texts, faults


def _matches(path: Path, pattern: str, key: Key, found: Findings) -> list[Path]:
    if not pattern or pattern.startswith("/") or ".." in Path(pattern).parts:
        mend = 'write a path beneath this file\'s folder, as in "services.d/*.toml"'
        found.add(key, f'"{pattern}" is not beside the file', mend)
        return []
    try:
        files = sorted(file for file in path.parent.glob(pattern) if not file.is_dir())
    except (ValueError, NotImplementedError, OSError) as error:
        found.add(key, f'"{pattern}" is no pattern: {error}', 'write it as in "services.d/*.toml"')
        return []
    if not files:
        mend = "write a pattern that fits a file, or leave it out"
        found.add(key, f'"{pattern}" matches no file', mend)
    ourselves = path.resolve()
    if any(file.resolve() == ourselves for file in files):
        mend = "write a pattern that leaves this file out"
        found.add(key, f'"{pattern}" includes this file itself', mend)
    return [file for file in files if file.resolve() != ourselves]


def _check_secrets(document: Document, found: Findings) -> None:
    """Secrets must be there, and nobody but owner and group may read them."""
    for pattern in SECRETS:
        for key, written in _written(document.raw, pattern, ()):
            _check_secret(written, key, found)


def _written(value: object, pattern: Key, key: Key) -> Iterator[tuple[Key, str]]:
    """Every text that stands at such a key."""
    if not pattern:
        if isinstance(value, str):
            yield key, value
    elif isinstance(value, dict):
        names = value if pattern[0] == "*" else [pattern[0]]
        for name in names:
            yield from _written(value.get(name), pattern[1:], (*key, name))


def _check_secret(written: str, key: Key, found: Findings) -> None:
    if not written.startswith("/"):
        found.add(key, f'"{written}" is not an absolute path', "write it from the root")
        return
    try:
        mode = Path(written).stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        mend = "write the secret there, owner root:director, mode 0640"
        found.add(key, f"{written} cannot be looked at: {reason}", mend)
        return
    if mode & OTHERS:
        fault = f"{written} can be read by others (mode {mode & 0o7777:04o})"
        found.add(key, fault, f"chmod 0640 {written}")
