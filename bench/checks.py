# What a check costs, and whether thousands of them are on time.
#
# The machine is shared: only processor time is compared, of the checker's process alone, and only
# between checkers that took turns in one run. Servers are other processes: nginx, and a listener
# whose connections nobody answers. Processor time is the whole of it, with what the kernel does for
# the process; each wakes every 10 ms and finds its caches cold, as in life.
"""`python -m bench.checks`: processor time a check beside a C loop; lateness of thousands."""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from director.drill.places import eventually
from director.errors import SystemLacks
from director.model.address import Endpoint
from director.model.check import Check, HttpCheck, Pace, Target, TcpCheck
from director.paths import WORKERS_SOCKET
from director.wire.messages import Targets, encode

LOOP = Path(__file__).parent / "loop.c"
PACE = Pace(interval=1.0, fast_interval=1.0, down_interval=1.0, timeout=1.0)
KINDS: dict[str, Check] = {
    "tcp": TcpCheck(pace=PACE),
    "http": HttpCheck(pace=PACE),
    "keep": HttpCheck(pace=PACE, keep_alive=True),
}
TIMES_C = 1.3
LATE_MS = 50.0
RSS_MIB = 60.0
WARM_UP = 3.0
NGINX = """\
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 0.0.0.0:{port} backlog=16384; location / {{ return 200 "ok\\n"; }} }}
}}
"""
Row = dict[str, object]


def address(number: int) -> str:
    """The same address of the loopback as in loop.c."""
    return f"127.0.{number // 250}.{number % 250 + 1}"


def targets(check: Check, count: int, port: int) -> tuple[Target, ...]:
    """Targets of one kind at one port of many addresses."""
    return tuple(Target(f"t{n}", Endpoint(address(n), port), check) for n in range(count))


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A port at which nginx answers, on every address of the loopback."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, port=port))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if nginx is None:
        raise SystemLacks("there is no nginx", mend="apt-get install nginx-light", key="nginx")
    with subprocess.Popen([nginx, "-c", str(path), "-p", str(folder)]) as process:
        try:
            eventually(lambda: _answers(port), 10.0, "nginx")
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class OurWorker:
    """The worker in a process of its own, with this process as its engine."""

    def __init__(self, wanted: tuple[Target, ...]) -> None:
        self._stack = ExitStack()
        runtime = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(runtime / WORKERS_SOCKET))
        listener.listen()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.check_worker", str(runtime)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        link, _ = listener.accept()
        self._stack.enter_context(link)
        link.sendall(encode(Targets(1, wanted)))
        threading.Thread(target=_drain, args=(link,), daemon=True).start()

    def figures(self, seconds: float) -> Row:
        """What it did in `seconds`, once it is warm."""
        self._pass(WARM_UP)
        self._ask()
        self._pass(seconds)
        return self._ask()

    def _pass(self, seconds: float) -> None:
        # The process ends only if it fails, so that waiting for its end is waiting for the time.
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise SystemLacks(f"the worker ended with {status}", mend="see its log above")

    def _ask(self) -> Row:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        row: Row = json.loads(self._process.stdout.readline())
        return row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._stack.close()


def _drain(link: socket.socket) -> None:
    while link.recv(65536):
        pass


def of_director(kind: str, count: int, port: int, seconds: float) -> Row:
    """Our worker's figures."""
    with OurWorker(targets(KINDS[kind], count, port)) as worker:
        return worker.figures(seconds)


def of_c(program: Path, kind: str, count: int, port: int, seconds: float) -> Row:
    """The C loop's figures."""
    done = subprocess.run(
        [str(program), kind, str(count), str(seconds), str(port)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    row: Row = json.loads(done.stdout)
    assert row["good"] == row["checks"], row
    return row


def each_us(row: Row) -> float:
    """Microseconds of processor time a check."""
    return float(str(row["cpu_s"])) / int(str(row["checks"])) * 1e6


def compiled(folder: Path) -> Path | None:
    """The C loop, or None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    program = folder / "loop"
    subprocess.run([compiler, "-O2", "-o", str(program), str(LOOP)], check=True)
    return program


def cost(program: Path | None, kind: str, count: int, port: int, args: argparse.Namespace) -> Row:
    """One row: both take turns, so that both see the same neighbours."""
    c: list[float] = []
    ours: list[float] = []
    rate = 0.0
    for _ in range(args.repeats):
        if program is not None:
            c.append(each_us(of_c(program, kind, count, port, args.seconds)))
        row = of_director(kind, count, port, args.seconds)
        rate = int(str(row["checks"])) / args.seconds
        ours.append(each_us(row))
    found: Row = {
        "bench": "checks",
        "what": "cost",
        "kind": kind,
        "targets": count,
        "checks_a_second": round(rate),
        "director_us": round(statistics.median(ours), 1),
    }
    if program is None:
        return found | {"c_us": None, "why": "no C compiler is installed"}
    times = statistics.median(ours) / statistics.median(c)
    return found | {"c_us": round(statistics.median(c), 1), "times_c": round(times, 2)}


@contextmanager
def silent() -> Iterator[int]:
    """A port whose connections are taken and never answered."""
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen(4096)
        yield sock.getsockname()[1]


def scale(count: int, port: int, seconds: float) -> Row:
    """Lateness and memory of many targets."""
    row = of_director("http", count, port, seconds)
    return {"bench": "checks", "what": "scale", "targets": count, **row}


def hanging(count: int, hung: int, port: int, seconds: float) -> Row:
    """Lateness where some servers accept and never answer."""
    with silent() as dead:
        wanted = targets(KINDS["http"], count - hung, port) + tuple(
            Target(f"hung{n}", Endpoint(address(n), dead), KINDS["http"]) for n in range(hung)
        )
        with OurWorker(wanted) as worker:
            row = worker.figures(seconds)
    return {"bench": "checks", "what": "hanging", "targets": count, "hung": hung, **row}


def missed(rows: Sequence[Row]) -> Iterator[str]:
    """Every must that was missed, each in a sentence."""
    for row in rows:
        where = f"{row['what']} {row.get('kind', '')} {row['targets']}: "
        times = row.get("times_c")
        if row.get("kind") in ("tcp", "http") and isinstance(times, float) and times > TIMES_C:
            yield f"{where}{times} times the C loop, must be {TIMES_C} at most"
        late = row.get("p99_late_ms")
        if isinstance(late, float) and late > LATE_MS:
            yield f"{where}p99 {late} ms late, must be {LATE_MS:g} at most"
        rss = row.get("rss_mib")
        if row["what"] == "scale" and isinstance(rss, float) and rss > RSS_MIB:
            yield f"{where}{rss} MiB, must be {RSS_MIB:g} at most"


def main() -> int:
    """One JSON line for each row; 1 when a must was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--kinds", default="tcp,http,keep")
    parser.add_argument("--targets", default="1000,5000")
    args = parser.parse_args()
    rows: list[Row] = []

    def say(row: Row) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)

    with tempfile.TemporaryDirectory(prefix="bench") as name, served(Path(name)) as port:
        program = compiled(Path(name))
        for count in map(int, args.targets.split(",")):
            for kind in args.kinds.split(","):
                say(cost(program, kind, count, port, args))
        say(scale(5000, port, args.seconds))
        say(hanging(1000, 100, port, args.seconds))
    complaints = list(missed(rows))
    for one in complaints:
        print(f"missed: {one}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
