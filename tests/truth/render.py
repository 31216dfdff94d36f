"""A program as a scenario and a Compose file of nodes of the kind `host`: it runs unchanged on every runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.truth.programs import Program

INTERPRETER = Path(__file__).with_name("interpreter.py")

_PYTHON = "/usr/bin/python3"
_NFT = "/usr/sbin/nft"


def write(program: Program, folder: Path, expect: Sequence[Mapping[str, Any]] = ()) -> Path:
    """Writes scenario, Compose file and program into the folder; returns the scenario's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.json").write_text(json.dumps(program, indent=1) + "\n", encoding="utf-8")
    (folder / "compose.yaml").write_text(_yaml(compose(program)), encoding="utf-8")
    path = folder / "scenario.yaml"
    path.write_text(_yaml(scenario(program, expect)), encoding="utf-8")
    return path


def _yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)


def compose(program: Program) -> dict[str, Any]:
    services: dict[str, Any] = {}
    for name, node in program["nodes"].items():
        services[name] = {
            "image": "simctl/host",
            "cap_add": ["NET_ADMIN"],
            "networks": node["networks"],
            "sysctls": node["sysctls"],
        }
    if program["nat"] is not None:
        services["nat"] = {
            "image": "simctl/nat",
            "depends_on": ["server"],
            "environment": program["nat"]["knobs"],
            "cap_add": ["NET_ADMIN"],
            "sysctls": {"net.ipv4.ip_forward": 1},
            "networks": ["front", "back"],
        }
    networks = dict.fromkeys(network for service in services.values() for network in service["networks"])
    return {"services": services, "networks": {network: {"internal": True} for network in networks}}


def scenario(program: Program, expect: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": f"truth-{program.get('name', program['seed'])}",
        "title": f"A random program of sockets, seed {program['seed']}: {', '.join(program['features'])}",
        "topology": "compose.yaml",
        "steps": [{"name": step["step"], **_step(step)} for step in program["steps"]],
    }
    if expect:
        found["expect"] = [dict(entry) for entry in expect]
    return found


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    match step["do"]:
        case "wait":
            return {"wait": f"{round(step['seconds'] * 1000)}ms"}
        case "link":
            return {"link": {"node": step["node"], "up": step["up"]}}
        case "run":
            words = [step["name"], "1" if step["background"] else "0", json.dumps(step["script"])]
            return _exec(step["node"], [_PYTHON, "-c", INTERPRETER.read_text(encoding="utf-8"), *words])
        case "drop":
            rule = f"add rule ip fuzz input ip protocol tcp {step['match']} drop"
            made = "add table ip fuzz; add chain ip fuzz input { type filter hook input priority 0; }"
            return _exec(step["node"], [_NFT, f"{made}; {rule}"])
        case "pass":
            return _exec(step["node"], [_NFT, "add table ip fuzz; delete table ip fuzz"])
        case "signal":
            found = f'test -f /tmp/{step["name"]}.pid && kill -{step["signal"]} "$(cat /tmp/{step["name"]}.pid)"; true'
            return _exec(step["node"], ["/bin/sh", "-c", found])
    raise ValueError(f"no step does {step['do']!r}")


def _exec(node: str, command: list[str]) -> dict[str, Any]:
    return {"exec": {"node": node, "command": command, "timeout": "60s"}}
