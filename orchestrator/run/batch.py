"""Several runs, one after the other or, in processes of their own, at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.run.execute import run
from orchestrator.run.task import Done, Task
from orchestrator.runtimes.registry import begin
from orchestrator.text.progress import Progress


def run_tasks(tasks: Sequence[Task], jobs: int, progress: Progress, done: Done) -> None:
    """Run all, at most `jobs` at a time, begun in their order. A task that fails keeps no other from running.

    A KeyboardInterrupt passes through when all that ran are taken down.
    """
    if jobs == 1 or len(tasks) == 1:
        for place, task in enumerate(tasks):
            begin(task.options.runtime, str(task.path))
            if len(tasks) > 1:
                progress(f"--- {task.label}")
            try:
                done(place, run(task.path, task.options, progress))
            except (InputError, EnvironmentFailure) as error:
                done(place, error)
    else:
        from orchestrator.run.crew import Crew  # multiprocessing takes a while

        Crew(tasks, progress, done).work(jobs)
