"""Programs that the file names: argument vectors, and the hooks."""

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import element, read_duration
from director.config.schema import FileTable
from director.config.spellings import Duration
from director.model.event import Hook

LONGEST_RUN = 600.0  # seconds: what hangs keeps the next run about its object waiting
PLAIN_TIMEOUT = 10.0


def read_hooks(file: FileTable, found: Findings) -> tuple[Hook, ...]:
    """All `[[hooks]]` without a fault."""
    hooks = []
    for index, table in enumerate(file.hooks):
        key: Key = ("hooks", index)
        on = tuple(dict.fromkeys([table.on] if isinstance(table.on, str) else table.on))
        if not on:
            mend = 'write what it is told of, as in on = ["role"]'
            found.add((*key, "on"), "on is empty: this hook would never run", mend)
        run = read_program(table.run, (*key, "run"), found)
        timeout = read_timeout(table.timeout, (*key, "timeout"), found)
        if on and run:
            hooks.append(Hook(on, run, timeout))
    return tuple(hooks)


def read_program(argv: list[str], key: Key, found: Findings) -> tuple[str, ...]:
    """An argument vector that can be started; empty with a fault."""
    mend = 'write the program and its arguments, as in ["/usr/local/lib/director/notify"]'
    if not argv:
        found.add(key, f"{key[-1]} is empty", mend)
        return ()
    if not argv[0].startswith("/"):
        fault = f'"{argv[0]}" is not the whole path of a program'
        mend = "write it from the root; no shell looks for it, and none splits it at spaces"
        found.add((*key, 0), fault, mend)
        return ()
    for index, word in enumerate(argv):
        if "\0" in word:
            found.add(element(key, argv, index), "holds a zero byte", "leave it out")
            return ()
    return tuple(argv)


def read_timeout(text: Duration | UnsetType, key: Key, found: Findings) -> float:
    """Seconds until the program is killed."""
    if isinstance(text, UnsetType):
        return PLAIN_TIMEOUT
    seconds = read_duration(text, key, found, low=0.1, high=LONGEST_RUN)
    return PLAIN_TIMEOUT if seconds is None else seconds
