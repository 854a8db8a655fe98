"""Measure one or all: `python -m benchmarks [NAME]`; fails if a target is missed."""

from __future__ import annotations

import argparse
import signal
import sys

from benchmarks import formats, interaction, startup, store

ALL = {
    "formats": formats.main,
    "interaction": interaction.main,
    "startup": startup.main,
    "store": store.main,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=ALL, help="which; all by default")
    chosen = parser.parse_args().name
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # servers and folders go too
    met = [run() for name, run in ALL.items() if chosen in (None, name)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
