"""Readers of other tools, run in environments of their own that `make test` puts them in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(code: str, *args: object, environment: str = "readers") -> Any:
    """What the code prints in its last line, as JSON.

    Parameters
    ----------
    code
        Python that the packages of the environment can be imported in.
    *args
        Its ``sys.argv[1:]``.
    environment
        Its name in the Makefile.
    """
    python = Path(sys.prefix) / environment / "bin" / "python"
    done = subprocess.run(
        [str(python), "-c", code, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
