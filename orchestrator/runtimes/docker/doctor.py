"""What `simctl doctor` finds out about the docker runtime: the engine, the images, and where its probe can live."""

from __future__ import annotations

from contextlib import closing

from orchestrator.engine.client import connect, engine_answers
from orchestrator.errors import SimctlError
from orchestrator.kinds.registry import kind_names
from orchestrator.observe.abilities import Outcome
from orchestrator.runtimes.check import RIGHTS, Check, install, refusal, tool
from orchestrator.runtimes.docker.askprobe import ask_probe
from orchestrator.runtimes.docker.images import PROBE, any_probe_image, missing_images
from orchestrator.runtimes.docker.probeplace import VARIABLE, probe_place


def checks(machine: Outcome) -> list[Check]:
    """Engine, images, probe, and what images are made with. `machine`: what this process itself may do."""
    answers, said = engine_answers()
    engine = Check(
        "docker engine",
        answers,
        said,
        "no containers: node kinds only, no images of yours",
        f"{install('docker.io')}, then start it",
    )
    missing = _missing_images() if answers else None
    images = Check(
        "docker images",
        missing is None if answers else None,
        missing or "built" if answers else "not known without an engine",
        "the first run on docker takes a minute longer",
        "simctl images build",
    )
    probe = _docker_probe(machine) if answers else _probe_check(None, "not known without an engine")
    bootstrap = tool(
        "mmdebstrap",
        "mmdebstrap",
        "where no registry can be reached, images cannot be built; no virtual machine but by an engine",
    )
    return [engine, images, probe, bootstrap]


def _probe_check(ok: bool | None, found: str, get: str = "see the docker engine above") -> Check:
    return Check("docker probe", ok, found, "no containers: nothing could wire and watch them", get)


def _docker_probe(machine: Outcome) -> Check:
    """Where the probe of the docker runtime would live, and whether it could do its work there."""
    try:
        with closing(connect()) as client:
            place = probe_place(client)
            if not place.container:
                where, outcome = f"a process, because {place.why}", machine
            elif (image := any_probe_image(client)) is None:
                found = f"a container, because {place.why}; not tried: its image is not built"
                return _probe_check(None, found, "simctl images build")
            else:
                where = f"a container, because {place.why}"
                outcome = ask_probe(client, image, "abilities")["outcome"]
    except SimctlError as error:
        return _probe_check(False, str(error), f"sudo simctl ..., or another engine; {VARIABLE}=process insists")
    refused = [
        f"{name}: {why}" for name in ("namespaces", "wiring", "socket tables") if (why := refusal(outcome, name))
    ]
    if refused:
        return _probe_check(False, f"{where}, but {'; '.join(refused)}", RIGHTS)
    tracing = refusal(outcome, "tracing")
    return _probe_check(True, f"{where}; {'traces' if tracing is None else f'without tracing: {tracing}'}")


def _missing_images() -> str | None:
    """None when the image of every node kind is there, and that of the probe where it has to be a container."""
    try:
        with closing(connect()) as client:
            probe = [PROBE] if probe_place(client).container else []
            missing = missing_images([*kind_names(), *probe], client=client)
    except SimctlError as error:
        return str(error)
    if not missing:
        return None
    names = [reference.partition(":")[0].removeprefix("simctl/") for reference in missing]
    return f"missing: {'all' if len(names) == len(kind_names()) + len(probe) else ', '.join(names)}"
