"""Compares what deploy/ says with the program and its protos: options, variables, commands
and calls exist, and whoever is told to end has the time to drain."""

import os
import pathlib
import re
import subprocess
import sys

import yaml

ROLLCALL = os.environ["ROLLCALL"]
DEPLOY = pathlib.Path("deploy")
PROTO = "".join(path.read_text() for path in pathlib.Path("proto/rollcall/v1").glob("*.proto"))
# Of compose.yaml and tests alone, not of the program.
NOT_OF_THE_PROGRAM = {"ROLLCALL_IMAGE"}
wrong = []


def help_of(*command):
    run = subprocess.run([ROLLCALL, *command, "--help"], capture_output=True, text=True)
    return run.stdout if run.returncode == 0 else None


def seconds(text):
    found = re.fullmatch(r"(\d+)(s|m)?", str(text))
    return int(found[1]) * (60 if found[2] == "m" else 1)


def expect(condition, complaint):
    if not condition:
        wrong.append(complaint)


def files(*suffixes):
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and (path.suffix in suffixes or path.name == "Containerfile"):
            yield path, path.read_text()


def check_variables():
    known = set(re.findall(r"ROLLCALL_[A-Z0-9_]+", "".join(
        help_of(*command) for command in [("serve",), ("migrate",), ("keys", "rotate")])))
    # Hidden from the help, since a file is better; the README has it.
    known |= {"ROLLCALL_MASTER_KEY"} | NOT_OF_THE_PROGRAM
    # What the commands that call a server take.
    for command in [("health",), ("login",), ("sessions", "list")]:
        known |= set(re.findall(r"ROLLCALL_[A-Z0-9_]+", help_of(*command) or ""))
    for path, text in files(".yaml", ".service", ".md"):
        for name in set(re.findall(r"\bROLLCALL_[A-Z0-9_]+", text)) - known:
            wrong.append(f"{path}: no variable {name}")


def check_commands():
    """`rollcall WORD WORD --option` wherever it stands, also as a list of YAML or JSON."""
    commands = {}
    for path, text in files(".yaml", ".service", ".md"):
        text = text.replace("\\\n", " ")
        for line in re.findall(r"(?:/usr/local/bin/|\$ |^ *|[`(|;&] ?|run --rm |exec )rollcall((?: +[^\s`|;&()<>#]+)+)", text, re.M):
            commands.setdefault(line.strip(), path)
        for inner in re.findall(r'(?:args|command|test|ENTRYPOINT|CMD):? *\[([^\]]*)\]', text):
            words = [word.strip().strip('"') for word in inner.split(",")]
            if "/usr/local/bin/rollcall" in words:
                words = words[words.index("/usr/local/bin/rollcall") + 1:]
            if words and words[0] in {"serve", "migrate", "health", "keys", "user", "users"}:
                commands.setdefault(" ".join(words), path)
    expect(commands, "no command was found in deploy/")
    for command, path in sorted(commands.items()):
        words = command.split()
        names = []
        for word in words:
            if not re.fullmatch(r"[a-z][a-z-]*", word) or help_of(*names, word) is None:
                break
            names.append(word)
        if words[0].startswith("-"):
            continue
        if not names:
            wrong.append(f"{path}: no command `rollcall {command}`")
            continue
        text = help_of(*names)
        next_word = words[len(names)] if len(names) < len(words) else ""
        if re.search(r"^Commands:", text, re.M) and re.fullmatch(r"[a-z][a-z-]*", next_word):
            wrong.append(f"{path}: no command `rollcall {' '.join(names)} {next_word}`")
        options = set(re.findall(r"--[a-z][a-z0-9-]*", text)) | {"--help", "--version"}
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", command):
            expect(option in options, f"{path}: no option {option} of `rollcall {' '.join(names)}`")


def check_calls():
    for path, text in files(".md"):
        for service, method in re.findall(r"rollcall\.v1\.([A-Z]\w+)/(\w+)", text):
            body = re.search(rf"^service {service} {{(.*?)^}}", PROTO, re.M | re.S)
            known = body and re.search(rf"rpc {method}\(", body[1])
            expect(known, f"{path}: no call {service}/{method}")
        for name in re.findall(r"\b(?:EVENT_KIND|SESSION_END_REASON|ERROR_REASON)_[A-Z_]+\b", text):
            expect(re.search(rf"\b{name} = ", PROTO), f"{path}: no {name}")


def check_time_to_drain():
    unit = (DEPLOY / "rollcall.service").read_text()

    def of(name):
        return seconds(re.search(rf"^(?:Environment=)?{name}=(\S+)", unit, re.M)[1])

    drain = of("ROLLCALL_DRAIN_PAUSE") + of("ROLLCALL_DRAIN_LIMIT")
    expect(of("TimeoutStopSec") > drain, "rollcall.service ends before it has drained")

    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["rollcall"]
    options = dict(word.lstrip("-").split("=") for word in compose["command"] if "=" in word)
    drain = seconds(options["drain-pause"]) + seconds(options["drain-limit"])
    expect(seconds(compose["stop_grace_period"]) > drain, "compose.yaml ends before it has drained")

    base = DEPLOY / "kubernetes/base"
    config = yaml.safe_load((base / "config.yaml").read_text())["data"]
    pod = yaml.safe_load((base / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    drain = seconds(config["ROLLCALL_DRAIN_PAUSE"]) + seconds(config["ROLLCALL_DRAIN_LIMIT"])
    expect(pod["terminationGracePeriodSeconds"] > drain, "deployment.yaml ends before it has drained")


check_variables()
check_commands()
check_calls()
check_time_to_drain()
for complaint in wrong:
    print(complaint, file=sys.stderr)
sys.exit(bool(wrong))
