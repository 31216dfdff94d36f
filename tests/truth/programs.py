"""Programs of sockets as data, by seed.

A program is `{"seed", "features", "nodes", "nat", "steps"}`, all of it JSON.

- `nodes`: name -> {"networks": [...], "sysctls": {...}}; `nat`: None, or {"knobs": {...}} for a NAT between networks
  `front` and `back`.
- `steps`, in order: {"do": "run", "node", "name", "background", "script"}, {"do": "wait", "seconds"},
  {"do": "link", "node", "up"}, {"do": "drop", "node", "match"} and {"do": "pass", "node"} (nftables in the node, on its
  input), {"do": "signal", "node", "name", "signal"} (to a script in the background).
- A script is a list of operations on named sockets:
  ["listen", s, port, backlog, defer], ["accept", s, new], ["serve", s, buffer, script], ["relay", s, host, port],
  ["connect", s, host, port, options], ["send", s, bytes], ["recv", s, bytes], ["drain", s], ["shut", s, how],
  ["close", s], ["last", s, bytes] (data and FIN in one segment), ["reset", s], ["abort", s], ["fork", s, seconds],
  ["sleep", seconds], ["exit"].
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

Program = dict[str, Any]

FEATURES = (
    "link", "drop", "nat", "relay", "defer", "backlog", "slow-reader", "large", "reuse", "reset", "abort", "fork",
    "half-close", "signal", "exit", "tw-buckets", "fin-timeout", "retries", "rfc1337", "second-client",
)  # fmt: skip
"""What a program may have beyond connecting, sending a little, and closing."""

PORT = 8080

_DROPPED = (
    "tcp flags & fin == fin",
    "tcp flags & (fin | ack) == ack",
    "tcp flags & (syn | ack) == (syn | ack)",
    "tcp flags & rst == rst",
    "tcp flags & (syn | ack) == syn",
    "numgen random mod 100 < 40",
)
_SIGNALS = ("KILL", "KILL", "TERM", "STOP")


def generate(seed: int, *, without: Collection[str] = (), features: int = 4) -> Program:
    """The program of a seed. `features` is how many it has at most; `without` are those that it must not have."""
    rng = random.Random(seed)
    allowed = [feature for feature in FEATURES if feature not in without]
    chosen = set(rng.sample(allowed, min(rng.randint(1, features), len(allowed))))
    if {"nat", "relay"} <= chosen:
        chosen.discard("relay")
    return _Maker(rng, seed, chosen).program()


class _Maker:
    def __init__(self, rng: random.Random, seed: int, features: set[str]) -> None:
        self._rng = rng
        self._seed = seed
        self._features = features
        self._target = "nat" if "nat" in features else "relay" if "relay" in features else "server"

    def has(self, feature: str, chance: float = 1.0) -> bool:
        return feature in self._features and self._rng.random() < chance

    def program(self) -> Program:
        clients = ["client", "other"] if self.has("second-client") else ["client"]
        steps = [self._listening("server", self._server())]
        if "relay" in self._features:
            steps.append(self._listening("relay", [["listen", "l", PORT, 64, 0], ["relay", "l", "server", PORT]]))
        for number in range(self._rng.randint(1, 3)):
            client = self._rng.choice(clients)
            steps += self._disturbance(client) if number or self._rng.random() < 0.4 else []
            steps.append(self._calling(client, number))
            steps.append(self._pause())
        steps += self._disturbance("client")
        steps.append({"do": "wait", "seconds": self._rng.choice((0.6, 1.2, 2.5))})
        steps += self._mended(steps)
        for number, step in enumerate(steps, 1):
            step["step"] = f"s{number}"
        return {
            "seed": self._seed,
            "features": sorted(self._features),
            "nodes": self._nodes(clients),
            "nat": self._nat(),
            "steps": steps,
        }

    def _nodes(self, clients: list[str]) -> dict[str, Any]:
        near, far = ("front", "back") if "nat" in self._features else ("lab", "lab")
        nodes: dict[str, Any] = {name: {"networks": [near], "sysctls": {}} for name in clients}
        if "relay" in self._features:
            nodes["relay"] = {"networks": ["lab"], "sysctls": {}}
        nodes["server"] = {"networks": [far], "sysctls": {}}
        for node in nodes.values():
            self._tune(node["sysctls"])
        if "reuse" in self._features and self._rng.random() < 0.7:
            last = 40000 + self._rng.choice((0, 1, 3))
            nodes["client"]["sysctls"]["net.ipv4.ip_local_port_range"] = f"40000 {last}"
        return nodes

    def _tune(self, sysctls: dict[str, Any]) -> None:
        pick = self._rng.choice
        if self.has("fin-timeout", 0.7):
            sysctls["net.ipv4.tcp_fin_timeout"] = pick((1, 2, 3))
        if self.has("tw-buckets", 0.6):
            sysctls["net.ipv4.tcp_max_tw_buckets"] = pick((0, 1, 2))
        if self.has("rfc1337", 0.6):
            sysctls["net.ipv4.tcp_rfc1337"] = 1
        if self.has("retries", 0.7):
            sysctls["net.ipv4.tcp_retries2"] = pick((2, 3))
            sysctls["net.ipv4.tcp_orphan_retries"] = pick((1, 2))
            sysctls["net.ipv4.tcp_syn_retries"] = pick((1, 2))
            sysctls["net.ipv4.tcp_synack_retries"] = pick((1, 2))
        if self.has("backlog", 0.3):
            sysctls["net.ipv4.tcp_abort_on_overflow"] = 1

    def _nat(self) -> dict[str, Any] | None:
        if "nat" not in self._features:
            return None
        knobs: dict[str, Any] = {"UPSTREAM": f"server:{PORT}", "ON_UNKNOWN": self._rng.choice(("drop", "reset"))}
        for knob in ("CONNTRACK_ESTABLISHED", "CONNTRACK_CLOSE_WAIT", "CONNTRACK_TIME_WAIT"):
            if self._rng.random() < 0.5:
                knobs[knob] = self._rng.choice(("1s", "2s"))
        return {"knobs": knobs}

    def _listening(self, node: str, script: list[Any]) -> dict[str, Any]:
        return {"do": "run", "node": node, "name": node, "background": True, "script": script}

    def _server(self) -> list[Any]:
        small = "backlog" in self._features
        backlog = self._rng.choice((0, 1, 2)) if small else 64
        defer = self._rng.choice((1, 3)) if "defer" in self._features else 0
        listen = ["listen", "l", PORT, backlog, defer]
        if small and self._rng.random() < 0.6:
            late = [["sleep", self._rng.choice((0.8, 1.6))], ["serve", "l", 0, self._talk("it")]]
            return [listen, *late] if self._rng.random() < 0.7 else [listen]
        buffer = 4096 if self.has("slow-reader", 0.5) else 0
        return [listen, ["serve", "l", buffer, self._talk("it")]]

    def _calling(self, client: str, number: int) -> dict[str, Any]:
        script: list[Any] = []
        for index in range(self._rng.choice((1, 1, 2, 3, 5))):
            name = f"c{index}"
            options: dict[str, Any] = {}
            if self.has("reuse", 0.5):
                options["bind"] = 41000 + self._rng.choice((0, 0, 1))
            if self.has("slow-reader", 0.5):
                options["buffer"] = 4096
            options["timeout"] = self._rng.choice((1.0, 2.5))
            script += [["connect", name, self._target, PORT, options], *self._talk(name)]
        if self.has("exit", 0.5):
            script.append(["exit"])
        name = f"{client}{number}"
        background = self._rng.random() < 0.6
        return {"do": "run", "node": client, "name": name, "background": background, "script": script}

    def _talk(self, name: str) -> list[Any]:
        """What one end does with its connection."""
        found: list[Any] = []
        for _ in range(self._rng.randint(0, 3)):
            found.append(self._word(name))
        return [*found, *self._farewell(name)]

    def _word(self, name: str) -> list[Any]:
        size = self._rng.choice((10, 200, 3000))
        if self.has("large", 0.4):
            size = self._rng.choice((200_000, 2_000_000))
        words: list[list[Any]] = [
            ["send", name, size],
            ["recv", name, 10],
            ["sleep", self._rng.choice((0.05, 0.3, 0.7))],
        ]
        if "fork" in self._features:
            words.append(["fork", name, self._rng.choice((0.3, 1.0))])
        if "half-close" in self._features:
            words.append(["shut", name, self._rng.choice((0, 1, 1, 1, 2))])
        return self._rng.choice(words)

    def _farewell(self, name: str) -> list[Any]:
        ways: list[list[Any]] = [[["close", name]], [["drain", name], ["close", name]], []]
        if self._rng.random() < 0.2:
            ways.append([["last", name, 70]])
        if "reset" in self._features:
            ways.append([["reset", name]])
        if "abort" in self._features:
            ways.append([["abort", name], ["sleep", 0.2], ["close", name]])
        if "half-close" in self._features:
            ways.append([["shut", name, 1], ["sleep", 0.4], ["close", name]])
        return self._rng.choice(ways)

    def _pause(self) -> dict[str, Any]:
        return {"do": "wait", "seconds": self._rng.choice((0.1, 0.4, 1.1))}

    def _disturbance(self, client: str) -> list[dict[str, Any]]:
        node = self._rng.choice((client, "server"))
        ways: list[list[dict[str, Any]]] = [[]]
        if "link" in self._features:
            cut = {"do": "link", "node": node, "up": False}
            ways.append([cut] if self._rng.random() < 0.5 else [cut, self._pause(), {**cut, "up": True}])
        if "drop" in self._features:
            ways.append([{"do": "drop", "node": node, "match": self._rng.choice(_DROPPED)}])
            ways.append([{"do": "pass", "node": node}])
        if "signal" in self._features:
            signal = self._rng.choice(_SIGNALS)
            ways.append([{"do": "signal", "node": "server", "name": "server", "signal": signal}])
        return self._rng.choice(ways)

    def _mended(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Links that come back, sometimes, so that what waits goes on."""
        down = {step["node"]: not step["up"] for step in steps if step["do"] == "link"}
        cut = [node for node, is_down in down.items() if is_down]
        if not cut or self._rng.random() < 0.5:
            return []
        back = [{"do": "link", "node": node, "up": True} for node in cut]
        return [*back, {"do": "wait", "seconds": 1.5}]
