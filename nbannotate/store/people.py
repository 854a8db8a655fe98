"""What an annotator is called in a store: by the name given, the user's, a pseudonym, or nothing.

A pseudonym is made from a secret in the user's settings, which is made once and never leaves them.
"""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from pathlib import Path

from nbannotate.core.people import ANONYMOUS, PSEUDONYM, Naming, pseudonym
from nbannotate.errors import StoreError
from nbannotate.store.files import name_if_free

_SECRET = "pseudonym.key"
_BYTES = 32


def annotator_name(given: str | Naming | None, store_id: str) -> str | None:
    """The annotator that edits in a store are to have.

    Parameters
    ----------
    given
        A name; None: the name of the user of this machine; `PSEUDONYM`; `ANONYMOUS`.
    store_id
        Id of the store.

    Returns
    -------
    None for `ANONYMOUS`.

    Raises
    ------
    StoreError
        If the secret of pseudonyms cannot be read or kept.
    """
    if given is ANONYMOUS:
        return None
    if given is PSEUDONYM:
        return pseudonym(_secret(), store_id)
    return user_name() if given is None else given


def user_name() -> str:
    """The name of the user of this machine; ``annotator`` where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no entry and no variable
        return "annotator"


def settings_folder() -> Path:
    """Where the settings of this user are kept."""
    variable = "APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME"
    base = os.environ.get(variable, "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "nbannotate"


def _secret() -> bytes:
    """The secret of this user; made where there is none."""
    mend = "see to that, or give another annotator=..."
    try:
        path = settings_folder() / _SECRET
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            _make(path)
            found = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        raise StoreError(
            f"the secret that pseudonyms are made of cannot be read or kept ({error}); {mend}"
        ) from error
    if len(found) != _BYTES:
        raise StoreError(
            f"{path}: is not the secret that pseudonyms are made of; put back the file that was "
            "there, or remove it and get other pseudonyms"
        )
    return found


def _make(path: Path) -> None:
    """Write a new secret, whole and for this user alone, unless there is one by then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        name_if_free(part, path)
    except FileExistsError:
        pass  # another program of this user was faster; its secret is the one
    finally:
        part.unlink(missing_ok=True)
