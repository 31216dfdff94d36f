"""`python -I -S wall.py FILE_BYTES OOM_SCORE USER_NAMESPACES COMMAND ...`: executes the command bounded as a node is,
with no new privileges and the filter of system calls; USER_NAMESPACES 1: it may make one. See walled.py.

It imports little, for every command in a node waits for it.
"""

import os
import sys


def main() -> None:
    sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))  # noqa: PTH100, PTH118, PTH120
    from orchestrator.runtimes.netns import bounded
    from orchestrator.system import linux
    from orchestrator.system.seccomp import forbid_system_calls

    file_bytes, score, user_namespaces = map(int, sys.argv[1:4])
    bounded.files(file_bytes)
    bounded.give_way(score)
    linux.forbid_new_privileges()
    forbid_system_calls(user_namespaces=bool(user_namespaces))
    argv = sys.argv[4:]
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
