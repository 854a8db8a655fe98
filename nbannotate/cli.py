"""The command line: ``nbannotate stats | check | merge | reconcile | export`` and more.

Exit code 0: done; 1: problems were found; 2: wrong use, or an error, in one line on stderr.
What a command needs is imported when it runs, so that ``--help`` is there at once.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nbannotate.errors import NbannotateError, StoreError

if TYPE_CHECKING:
    from nbannotate.core.dataset import Dataset
    from nbannotate.core.registry import WriteReport
    from nbannotate.store import Report, Store

Command = Callable[[argparse.Namespace], int]

_SHOWN = 20  # conflicts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        Those after the program's name; None: those of this process.

    Returns
    -------
    The exit code.
    """
    options = _parser().parse_args(arguments)
    run: Command = options.run
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read it has had enough, as `head` does; Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (NbannotateError, OSError) as error:
        print(f"nbannotate: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


# Commands


def _stats(options: argparse.Namespace) -> int:
    with _store(options.store) as store:
        summary = store.summary()
    if options.json:
        _print_json(summary.to_dict())
        return 0
    _print_table("images", [(status, count) for status, count in summary.images.items()])
    _print_table("labels", list(summary.classes.items()))
    if summary.tags:
        _print_table("tags", list(summary.tags.items()))
    if summary.others:
        _print_table("labels without a class", [("", summary.others)])
    people = list(summary.annotators.items())
    if len(people) > 1:
        people.append(("all", summary.total))
    rows = [
        (
            who or "(no name)",
            work.labels,
            _duration(work.seconds),
            "" if work.labels_per_hour is None else f"{work.labels_per_hour:.0f}",
            _moment(work.first),
            _moment(work.last),
        )
        for who, work in people
    ]
    head = ("annotators", "labels", "active", "per hour", "first edit", "last edit (UTC)")
    _print_columns([head, *rows])
    return 0


def _check(options: argparse.Namespace) -> int:
    with _store(options.store) as store:
        report = store.check()
    _print_report(report, options.json)
    return 0 if report.ok else 1


def _backup(options: argparse.Namespace) -> int:
    with _store(options.store) as store:
        file = store.backup(options.to)
    print(f"{file}: is a backup of {options.store}, read again and found in order")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from nbannotate.store import restore

    aside = restore(options.backup, options.store)
    print(f"{options.store}: is what {options.backup} was")
    if aside is not None:
        print(f"  what was there is now {aside}")
    return 0


def _salvage(options: argparse.Namespace) -> int:
    from nbannotate.store import salvage

    report = salvage(options.store, options.to)
    _print_report(report, options.json)
    return 0 if report.ok else 1


def _merge(options: argparse.Namespace) -> int:
    from nbannotate.store import merge

    report = merge(options.stores, options.to)
    if options.json:
        _print_json({**vars(report), "conflicts": list(report.conflicts)})
        return 0
    print(
        f"{options.to}: {report.labels} labels, {report.images} images and {report.edits} edits "
        f"are new, from {report.stores} stores"
    )
    if report.annotators:
        rows = [(who or "(no name)", count) for who, count in report.annotators.items()]
        _print_table("annotators", rows)
    if report.conflicts:
        print(f"{len(report.conflicts)} conflicts:")
        for sentence in report.conflicts[:_SHOWN]:
            print(f"  {sentence}")
        if len(report.conflicts) > _SHOWN:
            print(f"  … and {len(report.conflicts) - _SHOWN} more; --json lists all")
    return 0


def _reconcile(options: argparse.Namespace) -> int:
    from nbannotate.project import reconcile

    with _store(options.store) as store:
        found = reconcile(
            options.images,
            store,
            dry_run=options.dry_run,
            accept_changed=options.accept_changed,
            verify=not options.quick,
        )
    if options.json:
        _print_json({**vars(found), "ok": found.ok})
    else:
        print(found)
    return 0 if found.ok else 1


def _export(options: argparse.Namespace) -> int:
    with _store(options.store) as store:
        dataset = store.dataset
    report = _write(
        dataset,
        options.out,
        options.format,
        split=options.split,
        seed=options.seed,
        root=options.images,
        copy=options.copy,
        resize=options.resize,
        only="all" if options.all else None,
        overwrite=options.overwrite or None,
    )
    print(report)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from nbannotate.core.registry import read

    dataset = read(options.source, format=options.source_format)
    report = _write(
        dataset,
        options.out,
        options.format,
        root=options.images,
        copy=options.copy,
        resize=options.resize,
        only="all",  # what the file has was meant to be in it
        overwrite=options.overwrite or None,
        optional={"only"},
    )
    print(report)
    return 0


def _store_init(options: argparse.Namespace) -> int:
    from nbannotate.store import open_store

    if options.roles:
        return _store_roles(options)
    for name in ("annotators", "reviewers", "prefix", "sql"):
        if getattr(options, name):
            raise NbannotateError(f"--{name} is for --roles; give that too, or leave both out")
    is_new = "://" in options.store or not Path(options.store).expanduser().exists()
    with open_store(options.store) as store:
        edits, name = store.last_batch(), store.name
    if is_new and not edits:
        print(f"{name}: is a new store; give it to a widget: store={options.store!r}")
    else:
        print(f"{name}: was a store already, of {edits} steps; nothing is changed")
    return 0


def _store_roles(options: argparse.Namespace) -> int:
    from nbannotate.store.roles import make_roles, roles_sql

    names = ("annotators", "reviewers", "prefix")
    given = {name: getattr(options, name) for name in names}
    if options.sql:
        print(roles_sql(options.store, **given), end="")
        return 0
    roles = make_roles(options.store, **given)
    print(roles)
    if roles.annotators or roles.reviewers:
        print("next: each opens it with a login of their own: store='postgresql://LOGIN@host/name'")
    else:
        print("next: give people a role, with --annotators ana,ben --reviewers rita")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from nbannotate.demo import PHOTOS, photos

    folder = photos(options.folder)
    print(f"{len(PHOTOS)} photographs in {folder}")
    return 0


# What they share


def _store(address: str) -> Store:
    """The store; `StoreError` where there is none, for opening it would make one."""
    from nbannotate.store import open_store

    if "://" not in address and not Path(address).expanduser().is_file():
        raise StoreError(f"{address}: there is no such store; check the path")
    return open_store(address)


def _write(
    dataset: Dataset,
    out: str,
    name: str,
    *,
    optional: Iterable[str] = (),
    **options: Any,
) -> WriteReport:
    """Write a dataset with those options that are given.

    Those that are optional are left out where the format does not have them.
    """
    from nbannotate.core.registry import find, writer
    from nbannotate.export.writing import takes_pictures

    write = writer(name)
    known = {*inspect.signature(write).parameters}
    if takes_pictures(find(name)):
        known |= {"copy", "resize"}
        if options.get("copy") not in (None, "none") or options.get("resize"):
            known |= {"root", "overwrite"}
    words = {"root": "--images", "only": "--all"}
    given = {}
    for option, value in options.items():
        if value is None or (option in optional and option not in known):
            continue
        if option not in known:
            flag = words.get(option, f"--{option}")
            raise NbannotateError(f"format {name} takes no {flag}; leave it out")
        given[option] = value
    if "seed" in given and "split" not in given:
        raise NbannotateError("--seed is for --split; give that too, or leave both out")
    return write(dataset, out, **given)


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of fractions of train, val and test; try .8,.1,.1"
        ) from None


def _people(text: str) -> dict[str, str | None]:
    """Logins, and the name of those that are given as ``LOGIN=NAME``."""
    pairs = [part.strip().partition("=") for part in text.split(",")]
    if len({login for login, _, _ in pairs}) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r} has a login twice; give each once")
    return {login: name if equals else None for login, equals, name in pairs}


def _print_report(report: Report, as_json: bool) -> None:
    if as_json:
        _print_json({**vars(report), "problems": list(report.problems), "ok": report.ok})
    else:
        print(report)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _print_table(head: str, rows: Sequence[tuple[str, int]]) -> None:
    _print_columns([(head, sum(count for _, count in rows)), *rows])


def _print_columns(rows: Sequence[Sequence[object]]) -> None:
    """Print rows below a first one that names them: the first column left, the others right."""
    texts = [[str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for place, (first, *others) in enumerate(texts):
        cells = [(first if place == 0 else f"  {first}").ljust(widths[0] + 2)]
        cells += [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        print("  ".join(cells).rstrip())
    print()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _moment(time: Any) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"


# The parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nbannotate", description="Work with the labels that nbannotate's widgets store."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    stats = _command(commands, "stats", _stats, "how many images, labels, and by whom")
    _add_store(stats)
    _add_json(stats)

    check = _command(commands, "check", _check, "look whether a store is in order; 1 if not")
    _add_store(check)
    _add_json(check)

    backup = _command(commands, "backup", _backup, "copy a store, also while it is in use")
    _add_store(backup)
    backup.add_argument("to", metavar="TO", help="a new file")

    restore = _command(
        commands, "restore", _restore, "put a backup in a store's place; what is there is kept"
    )
    restore.add_argument("backup", metavar="BACKUP", help="a file that backup made")
    restore.add_argument("store", metavar="STORE", help="the file of the store")

    salvage = _command(
        commands, "salvage", _salvage, "make a store of what can be read of a damaged one"
    )
    salvage.add_argument("store", metavar="STORE", help="the damaged file; it stays as it is")
    salvage.add_argument("to", metavar="TO", help="a new file")
    _add_json(salvage)

    merge = _command(
        commands, "merge", _merge, "make one store of several, such as those of a class"
    )
    merge.add_argument("stores", nargs="+", metavar="STORE", help="files; they stay as they are")
    merge.add_argument("--to", required=True, metavar="STORE", help="made, or added to")
    _add_json(merge)

    reconcile = _command(
        commands, "reconcile", _reconcile, "find images again that were renamed; 1 if some are not"
    )
    _add_store(reconcile)
    reconcile.add_argument("images", metavar="IMAGES", help="a folder, pattern, archive or URL")
    reconcile.add_argument("--dry-run", action="store_true", help="only say what it would do")
    reconcile.add_argument(
        "--accept-changed", action="store_true", help="record changed files as they are now"
    )
    reconcile.add_argument(
        "--quick", action="store_true", help="take files of the same name and size as unchanged"
    )
    _add_json(reconcile)

    export = _command(commands, "export", _export, "write the labels of a store for training")
    _add_store(export)
    _add_out(export, "--format")
    export.add_argument("--split", type=_fractions, metavar=".8,.1,.1", help="train, val, test")
    export.add_argument("--seed", type=int, help="another seed gives another split")
    export.add_argument("--all", action="store_true", help="also images that are yet to do")

    convert = _command(commands, "convert", _convert, "write labels of one format in another")
    convert.add_argument("source", metavar="IN", type=Path, help="file or folder")
    _add_out(convert, "--to")
    convert.add_argument(
        "--from", dest="source_format", metavar="FORMAT", help="found from the content if left out"
    )

    store = commands.add_parser("store", help="make a store")
    store_commands = store.add_subparsers(title="commands", metavar="COMMAND", required=True)
    init = _command(store_commands, "init", _store_init, "make the tables of a store")
    init.add_argument("store", metavar="URL", help="a path, or postgresql://user@host/name")
    init.add_argument(
        "--roles",
        action="store_true",
        help="let the PostgreSQL server guard whose labels are whose",
    )
    init.add_argument(
        "--annotators", type=_people, metavar="ana,ben", help="logins that change their own labels"
    )
    init.add_argument(
        "--reviewers", type=_people, metavar="rita", help="logins that change all labels"
    )
    init.add_argument("--prefix", help="of the names of the roles (default: nbannotate)")
    init.add_argument("--sql", action="store_true", help="print the SQL and do nothing")

    demo = _command(commands, "demo", _demo, "write two dozen sample photographs")
    demo.add_argument("folder", nargs="?", default="photos", help="made when it is missing")
    return parser


def _command(commands: Any, name: str, run: Command, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}."
    )
    parser.set_defaults(run=run)
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", help="a path, or postgresql://user@host/name")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _add_out(parser: argparse.ArgumentParser, flag: str) -> None:
    parser.add_argument("out", metavar="OUT", help="file or folder, as the format has it, or a URL")
    parser.add_argument(
        flag, dest="format", required=True, metavar="FORMAT", help="such as coco, yolo or csv"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="where relative image paths start"
    )
    parser.add_argument(
        "--copy",
        choices=["link", "copy", "none", "crop"],
        help="how images come to OUT (default: link); crop: each label is an image of its own",
    )
    parser.add_argument(
        "--resize", type=int, metavar="PIXELS", help="make images smaller: their longest side"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from nbannotate import __version__

        print(__version__)
        parser.exit()
