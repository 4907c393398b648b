"""How often a router speaks, in which version, and how it proves who it is."""

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import read_duration
from director.config.schema import AuthTable
from director.model.vip import Auth

# Seconds, by version. RFC 9568 section 6.1 has 100 centiseconds, and a power cut then costs three
# seconds and a half. With these it costs less than half of one, on any wire that is not at its end.
DEFAULT_INTERVALS = {2: 1.0, 3: 0.1}
INTERVALS = (0.01, 40.95)  # RFC 9568 section 5.2.7: 12 bits of centiseconds
INTERVALS_V2 = (1.0, 255.0)  # RFC 3768 section 5.3.7: 8 bits of seconds


def read_interval(
    text: str | UnsetType, version: int, key: Key, found: Findings, *, version_key: Key
) -> float:
    """Seconds, as the version can say them."""
    if isinstance(text, UnsetType):
        return DEFAULT_INTERVALS[version]
    if version == 2:
        return _in_seconds(text, key, found, version_key)
    low, high = INTERVALS
    interval = read_duration(text, key, found, low=low, high=high)
    if interval is None:
        return DEFAULT_INTERVALS[version]
    if abs(interval * 100 - round(interval * 100)) > 1e-6:
        fault = f"{text} is not a whole number of centiseconds"
        found.add(key, fault, 'write a multiple of 10ms, as in "100ms"')
    return round(interval * 100) / 100


def _in_seconds(text: str, key: Key, found: Findings, version_key: Key) -> float:
    interval = read_duration(text, key, found)
    low, high = INTERVALS_V2
    if interval is None:
        return DEFAULT_INTERVALS[2]
    if interval % 1 or not low <= interval <= high:
        fault = f"{text} is not whole seconds between 1s and 255s, and version 2 has no others"
        mend = 'write whole seconds, as in "1s", or version = 3'
        found.add(key, fault, mend, also=version_key)
        return DEFAULT_INTERVALS[2]
    return interval


def read_auth(table: AuthTable | UnsetType, version: int, key: Key, found: Findings) -> Auth | None:
    """How version 2 proves who sends; version 3 proves nothing (RFC 9568 section 9)."""
    if isinstance(table, UnsetType):
        return None
    if version != 2:
        fault = f"version {version} has no authentication"
        found.add(key, fault, "leave auth out, or write version = 2")
        return None
    return Auth(table.method, table.secret_file)
