"""The server over stdio, as a chat starts it, beside what else there is. `make bench` runs it.

Beside it stand (a) a thin wrapper on the same SDK, (b) what fastmcp makes of the API's OpenAPI document, (c) the floor:
a call that does nothing, and the bare request, and (d) the thin wrapper with two of the same promises: a record that is
synced to the disk before the POST, and a connection of its own for each POST. In turns, each round in another order;
the table has medians, and each ratio is the median of what ours is, divided by the other in the same round. Every
answer is checked.
"""

import argparse
import asyncio
import json
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.about import about, described
from bench.compare import Sample, compared
from bench.costs import duplicates, memory, tokens
from bench.processes import PLAIN, chat_columns
from bench.readme import put
from bench.run import Run
from bench.times import calls_a_second, cold_start, ten_personas, warm_call

OURS: Final = f"{shlex.quote(PLAIN)} -m octave_mcp"

PROBES: Final[dict[str, Callable[[Run, int], AsyncIterator[Sample]]]] = {
    "cold": cold_start,
    "warm": lambda run, rounds: warm_call(run, rounds, 50),
    "ten": lambda run, rounds: ten_personas(run, min(rounds, 3)),
    "tokens": lambda run, _: tokens(run),
    "duplicates": lambda run, _: duplicates(run),
    "memory": lambda run, rounds: memory(run, min(rounds, 3)),
    "rate": lambda run, rounds: calls_a_second(run, min(rounds, 5), 400),
}

ASSUMED: Final = """\
The upstream is tests/bench/octave.py, with records of about 950 tokens. It answers at once, but for the ten \
personas, which it writes one after the other when they come in one body, and for the time-out: the client gives up \
after 2 s of 4. Tokens are o200k, of compact JSON; a result's are those of both its channels; under (c) is the API's \
own answer, once."""


async def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    every = chat_columns(tuple(shlex.split(options.ours)), folder)
    run = Run(folder, every)
    samples: list[Sample] = []
    for name in options.only:
        print(name, file=sys.stderr, flush=True)  # noqa: T201 - how far it is
        samples += [sample async for sample in PROBES[name](run, options.rounds)]
    return {"about": about(), "rounds": options.rounds, "columns": every, "samples": samples}


def markdown(found: Mapping[str, Any], *, goals: bool = True) -> str:
    """Everything, for people."""
    columns = "\n".join(f"- {one.name}: {one.what}" for one in found["columns"])
    how = f"Medians of up to {found['rounds']} rounds. {ASSUMED}"
    return "\n\n".join((described(found["about"]), columns, how, compared(found["samples"], goals=goals)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.chat", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    parser.add_argument("--rounds", type=int, help="most of a probe; default: 15")
    parser.add_argument("--only", type=_probes, default=list(PROBES), metavar="PROBE,...", help=", ".join(PROBES))
    parser.add_argument("--ours", default=OURS, metavar="COMMAND", help="to compare two versions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, each round included")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the table there, between its markers")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 3 if options.quick else 15
    return options


def _probes(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(PROBES):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return wanted


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_run(options, Path(folder)))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2, default=asdict) + "\n")
    if options.readme is not None:
        put(markdown(found, goals=False), options.readme)
    print(markdown(found))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
