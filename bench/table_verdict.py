# The *musts* of the IPVS table, and which of them were missed. Pure.
"""Rows of a run, and what they must be."""

from collections.abc import Mapping

from bench.table_files import DESTINATIONS

PROGRAM, CHANGE, READ, RSS = 1 / 8, 1 / 2, 1 / 3, 2.0
AIM_PROGRAM, AIM_CHANGE, AIM_READ, AIM_RSS = 1 / 12, 1 / 5, 1 / 6, 1.0
TRANSITION_S, TRANSITION_GROWTH, AIM_TRANSITION_S = 0.005, 2.0, 0.001
ADD_ONE_S, AIM_ADD_ONE_S = 0.010, 0.002
BLOCKED_S = 0.050
PROGRAMMERS = ("director", "keepalived", "ipvsadm", "floor")
# A ratio of medians of a few ms is noise below this.
GROWTH_SLACK_S = 0.001

Figures = Mapping[str, Mapping[str, float]]  # by peer: figure and value


class Row:
    """One line of the table: ours, the peer's, and what it may be at most."""

    def __init__(self, what: str, services: int, ours: float, **beside: float) -> None:
        self.what = what
        self.services = services
        self.ours = ours
        self.beside = beside
        self.must = beside.pop("must")
        self.aim = beside.pop("aim")

    @property
    def missed(self) -> bool:
        """Is it above what it must be?"""
        return self.ours > self.must

    def as_json(self) -> dict[str, object]:
        """For a line of JSON."""
        return {
            "bench": "table",
            "what": self.what,
            "services": self.services,
            "destinations": self.services * DESTINATIONS,
            "director": _short(self.ours),
            **{name: _short(value) for name, value in self.beside.items()},
            "must": _short(self.must),
            "aim": _short(self.aim),
            "missed": self.missed,
        }

    def __str__(self) -> str:
        peers = ", ".join(f"{name} {value:.4g}" for name, value in self.beside.items())
        return (
            f"{self.what} at {self.services}: {self.ours:.4g} ({peers}); "
            f"must {self.must:.4g}, aim {self.aim:.4g}"
        )


def rows(services: int, found: Figures, few: Mapping[str, float]) -> list[Row]:
    """All rows of one scale. `few` are the engine's figures at 100 services."""
    ours, engine, standing = found["director"], found["engine"], found["standing"]
    keepalived, reloaded = found["keepalived"], found["keepalived_reload"]
    peer, after = keepalived["program_s"], reloaded["rss_after_mib"]
    cpu = {f"{name}_cpu": found[name]["cpu_s"] for name in PROGRAMMERS}
    limit = min(TRANSITION_S, few["transition_s"] * TRANSITION_GROWTH + GROWTH_SLACK_S)
    return [
        Row(
            "program_s", services, ours["program_s"], keepalived=peer,
            ipvsadm=found["ipvsadm"]["program_s"], floor=found["floor"]["program_s"],
            engine=engine["program_s"], **cpu, must=peer * PROGRAM, aim=peer * AIM_PROGRAM,
        ),
        Row(
            "change_s", services, standing["change_s"], keepalived=reloaded["change_s"],
            must=reloaded["change_s"] * CHANGE, aim=reloaded["change_s"] * AIM_CHANGE,
        ),
        Row(
            "read_s", services, standing["read_s"], ipvsadm=standing["ipvsadm_read_s"],
            must=standing["ipvsadm_read_s"] * READ, aim=standing["ipvsadm_read_s"] * AIM_READ,
        ),
        Row(
            "transition_s", services, engine["transition_s"], at_100=few["transition_s"],
            worst=engine["transition_max_s"], must=limit, aim=AIM_TRANSITION_S,
        ),
        Row(
            "transition_beside_show_s", services, engine["transition_beside_show_max_s"],
            count=engine["beside_show"], must=BLOCKED_S, aim=BLOCKED_S,
        ),
        Row(
            "rss_mib", services, engine["rss_after_mib"], at_start=engine["rss_mib"],
            keepalived=reloaded["rss_mib"], keepalived_after=after,
            must=after * RSS, aim=after * AIM_RSS,
        ),
        Row(
            "add_one_s", services, standing["add_one_s"], must=ADD_ONE_S, aim=AIM_ADD_ONE_S,
        ),
    ]  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.4g}")
