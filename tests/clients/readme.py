#!/usr/bin/env python3
"""Runs the tour of README.md exactly as it is printed, in one shell.

The commands are the lines that begin with `$ ` in blocks marked `console`, with
the lines that continue them: after a backslash, or beginning with `> `. What
follows is what they print, where `...` stands for anything and whole lines may be
left out; ids, times and tokens may differ. A command fails if, and only if, its
output in the README has an `ERROR:`.

Passwords come from the environment, the address from ROLLCALL_ADDRESS.

    tests/clients/readme.py [FILE]
"""

import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
ADDRESS = "127.0.0.1:50051"
# Builds, clones, and the setting of what is in the environment already.
NOT_RUN = re.compile(r"cargo |git |(export )?(OPERATOR|DEMO)_PASSWORD=")
LIMIT_SECONDS = 120

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
TOKEN = r"(?:rcr_|eyJ)[\w.-]+"
VARIES = re.compile(rf"{UUID}|{TIME}|{TOKEN}|\.\.\.|…")


@dataclass
class Command:
    """A command of the tour, and the lines that it prints."""

    text: str
    printed: list[str] = field(default_factory=list)

    def fails(self):
        """Whether the README shows it failing."""
        return any(line.startswith("ERROR:") for line in self.printed)


def trimmed(line):
    """A line without its indentation, and without the comma that more would follow."""
    return line.strip().rstrip(",")


def read_commands(markdown):
    """The commands of all console blocks, in their order."""
    commands = []
    for block in re.findall(r"^```console\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(Command(line[2:]))
            elif not commands:
                raise ValueError(f"a console block begins with output: {line}")
            elif commands[-1].text.endswith("\\") or (line.startswith("> ") and not commands[-1].printed):
                commands[-1].text += "\n" + line.removeprefix("> ")
            elif line.strip():
                commands[-1].printed.append(trimmed(line))
    return [command for command in commands if not NOT_RUN.match(command.text)]


def run(commands):
    """Runs the commands in one shell; yields the status and the lines of each."""
    mark = secrets.token_hex(16)
    script = "".join(f"{{ {command.text}\n}} </dev/null\nprintf '\\n{mark} %d\\n' $?\n" for command in commands)
    script = script.replace(ADDRESS, os.environ["ROLLCALL_ADDRESS"])
    done = subprocess.run(
        ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=LIMIT_SECONDS, check=False,
    )
    parts = re.split(rf"\n{mark} (\d+)\n", done.stdout)
    for output, status in zip(parts[0::2], parts[1::2]):
        yield int(status), [trimmed(line) for line in output.splitlines()]
    if parts[-1].strip():
        yield done.returncode, parts[-1].splitlines()


def pattern(line):
    """What a printed line of the README stands for."""
    return re.compile("".join(
        ".*" if VARIES.fullmatch(part) else re.escape(part)
        for part in re.split(f"({VARIES.pattern})", line)
    ))


def missing_line(printed, lines):
    """The first line of the README that the output lacks, reading both downwards."""
    rest = iter(lines)
    for expected in printed:
        if expected not in ("...", "…") and not any(pattern(expected).fullmatch(line) for line in rest):
            return expected
    return None


def main():
    """Runs the tour and names the first command that does not do what it should."""
    readme = Path(sys.argv[1]) if len(sys.argv) > 1 else README
    commands = read_commands(readme.read_text(encoding="utf-8"))
    if not commands:
        sys.exit(f"FAILED: {readme} has no commands")
    results = list(run(commands))
    for command, (status, lines) in zip(commands, results):
        output = "\n".join(lines)
        if (status != 0) != command.fails():
            sys.exit(f"FAILED: status {status}\n$ {command.text}\n{output}")
        if (missing := missing_line(command.printed, lines)) is not None:
            sys.exit(f"FAILED: no line like {missing}\n$ {command.text}\n{output}")
        print("  ok ", command.text.splitlines()[0])
    if len(results) != len(commands):
        sys.exit(f"FAILED: {len(results)} of {len(commands)} commands were run")


if __name__ == "__main__":
    main()
