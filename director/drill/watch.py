"""`python -m director.drill.watch RUNTIME EVERY`: the engine's state, line after line of JSON.

Runs beside a director in its machine: one process that asks over the socket costs less than a
`director status` for every look.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

from director.ask import ask_engine
from director.errors import DirectorError


def main() -> None:
    """For ever; silence while there is no engine."""
    runtime, every = Path(sys.argv[1]), float(sys.argv[2])
    while True:
        with suppress(DirectorError):
            print(ask_engine(runtime, 1.0, "status").body, flush=True)
        time.sleep(every)


if __name__ == "__main__":
    main()
