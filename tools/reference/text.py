"""What docs/scenario-reference.md says beside what the models say. A test loads and checks each of its examples."""

INTRO = """
<!-- Made by `python -m tools.reference`. Change orchestrator/scenario or tools/reference instead. -->

# The scenario language

A scenario is a YAML file that says three things: which nodes there are (`topology`, a Compose file), what happens
(`steps`), and what must be true (`expect`). simctl starts the nodes, performs the steps, records every TCP socket
of every node meanwhile, and judges the expectations afterwards on the recording.

```yaml
name: idle-close
title: An idle Session meets a server with a keep-alive timeout
topology: ../compose/client-server.yaml
set: {KEEPALIVE_TIMEOUT: 5s}

steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool, count: 5}
  - name: idle
    wait: 8s
  - name: reuse
    request: {from: client, url: "http://server:8080/", session: pool}

expect:
  - that: five requests share one connection
    over: load.start .. load.end
    client: {connections: 1, requests: 5, errors: 0}

  - that: the idle server closes first; the client does not look
    at: idle.end
    client: {CLOSE_WAIT: 1, recv_q: {CLOSE_WAIT: 1}}
    server: {FIN_WAIT2: 1, first_fin: 1}
```

Read it aloud: a client makes five requests through one Session, idles for 8 s, and asks again. The server closes idle
connections after 5 s. So at the end of the idle time the client's connection is half closed, and nobody told the
client: that is CLOSE_WAIT.

The examples below belong to this scenario: its nodes are `client` and `server`, its steps `load`, `idle` and `reuse`.
"""

FILE = """
The values in `set` go into the Compose file wherever it says `${NAME}` or `${NAME:-default}`.
"""

STEPS = """
Steps run one after the other, unless they are in the background. Each has exactly one verb, and may have a `name`:
letters, digits, `-` and `_`, a letter first, not `start` or `end`, and each only once. A step starts when the one
before it has ended.
"""

BACKGROUND = """
### Steps beside each other

With `background: true` a step runs beside those after it: requests go on while another step stops, cuts off or pauses
their server, a request is under way while its server is told to end, two clients work at once, or one client does
several things at once. It starts with the step that it stands before, and has given its command when that one begins.
Its moments `NAME.start` and `NAME.end` are as of any step.

```yaml
steps:
  - name: traffic
    background: true
    request: {from: client, url: "http://server:8080/", session: pool, rate: 50, duration: 5s}
  - name: running
    wait: 1s
  - name: freeze
    pause: server
  - name: frozen
    wait: 2s
  - name: thaw
    resume: server
  - name: done
    await: traffic
```

With `at` it starts at a moment, which is how a request is placed at the edge of a timer: `load.end + 4.9s`, where the
server closes what was idle for 5 s. The moment is one of a step that stands before it, or `start`, plus a duration. The
step before it may still be going on then: `load.start + 2s` may lie inside of `load`. What is not known in time is
refused: a moment of the step itself or of a later one, `end`, and a time before a moment.

```yaml
steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool}
  - name: idle
    wait: 8s
  - name: edge
    at: load.end + 4.9s
    request: {from: client, url: "http://server:8080/", session: pool}
```

`NAME.start` of such a step is marked some milliseconds before its time, because marking takes that long, and what it
does begins when its time has come. Without a duration it begins as soon as its own moment is marked. A machine that is
busy may be late: a note tells when it was more than 20 ms.

- **The end.** A step `await: NAME` waits for it. One that nothing awaits is waited for when the last step is over, also
  when its time is still to come, and a note says so: every step is done, and the run ends when the last one has ended.
- **Failure.** A step in the background that fails ends the run as any other does, at once, awaited or not.
- **Its client.** A step whose client is stopped or killed by another one ends with it. What the client had not reported
  by then is in no recording; a note says so.
- **Order.** Which Sessions are open and which nodes are gone or paused is checked in the order of the file. A Session
  cannot be closed before the steps that use it were awaited, and what waits for a paused program cannot be awaited.
- **Windows.** `over: NAME.start .. NAME.end` counts all that the node did then, other steps' requests as well.
"""

VERBS = {
    "request": """
With `session`, the client keeps a named Session with its pool of connections open until a `close` step or the end
of the run; each worker takes connections from that pool. The pool is the one that requests has by default: it keeps
10 connections to a host, so with a `concurrency` of more than 10 some are opened and closed again all the time. Without
`session`, every request stands alone and closes its connection, as `requests.get` does.

A request that fails does not end the step or the run: it is recorded, and `errors` counts it.

Without `rate` the loop is closed: each of `concurrency` workers sends its next request when the one before was answered
and its `interval` has passed, so a slow server gets less to do. `interval: 10ms..50ms` is think time: each pause is
drawn from that range, alike in every run. With `rate` the loop is open, as users are: each request has its time, the
first one at once, and is sent then, whatever became of those before it. When `concurrency` of them are under way the
next has to wait, and is late. How a client kept to its rate (how many were asked for and sent, how many were sent more
than 10 ms after their time, and by how much at most) is recorded, and told in the report and in `loads` of the JSON.
All clients keep a `rate`, a `duration` and a range of pauses, but `curl`, of which they are refused: its process makes
the requests of a worker one after the other, and takes no orders in between.

A client of a data store takes its own scheme: `psycopg` `postgresql://server:5432/`, `pymysql`
`mysql://server:3306/`, `redis-py` `redis://server:6379/`.
A request is then one query, `SELECT 1`, or one `PING`; a Session is a pool of the client's library. `method`, `headers`
and `body` are HTTP's.
""",
    "link": """
Whatever runs on the node goes on, and does not notice either. A sender keeps what it sent and sends it again, at
intervals that double, until `tcp_retries2` is reached: 15 by default, which takes 924 seconds or more, and ends in
`ETIMEDOUT`. An end that sends nothing never notices, unless it has SO_KEEPALIVE (`TCP_KEEPALIVE` of node kinds). Both
settings are the node's, so a topology's `sysctls` can make them short. When the link is back, what is still being sent
again arrives at its next turn.

`link` and then `kill` is what a machine that loses its power does: neither a FIN nor a RST comes from it. The other way
round a FIN would come first.
""",
}
"""Of verbs of which there is more to tell than their docstrings do."""

MOMENTS = """
A moment is a point of the run: `STEP.start` or `STEP.end`, or `start` and `end` of the run itself, plus or minus a
duration: `load.end`, `load.end + 1s`, `idle.end - 500ms`. A window is a stretch between two moments, both included:
`load.start .. idle.end`. A moment must lie inside of the run: to look at what happens after the last request, add
a `wait` step behind it. A window that ends before it starts is an error.
"""

EXPECTATIONS = """
An expectation is one sentence (`that`), at most one *when*, an optional `where`, and facts per node. Every key that is
not in this table must be a node of the topology, or a service: then its replicas count together. What is not named is
not asserted. All facts of all nodes must hold for the expectation to pass.
"""

WHERE = """
```yaml
expect:
  - that: the pool's connection to the server is open
    where: {port: 8080, peer: server}
    at: load.end
    client: {ESTABLISHED: 1}
```
"""

WHENS = """
An expectation without a *when* reads gauges and queues at the end of the run, counters and durations over the whole
run. A counter `at` a moment counts from the start of the run to that moment.

```yaml
expect:
  - that: the server closed the idle connection
    at: idle.end
    server: {FIN_WAIT2: 1, ESTABLISHED: 0}

  - that: the pool never grows
    always: load.start .. end
    client: {ESTABLISHED: ..1}

  - that: no connection ever stays in SYN_SENT
    never: load.end .. idle.end
    client: {SYN_SENT: 0}

  - that: the client is left in CLOSE_WAIT, and stays there for two seconds
    eventually: idle.start .. idle.end
    for: 2s
    client: {CLOSE_WAIT: 1}

  - that: nothing is sent twice while the connection idles
    over: idle.start .. idle.end
    client: {retransmits: 0}

  - that: at the end nothing is left but one open connection
    client: {ESTABLISHED: 1, others: 0}
```
"""

FACTS = """
The states are those of RFC 9293, named as the kernel names them. A *gauge* is a number of sockets at an instant; a
*queue* is a property of every socket in a state; a *counter* adds up over time; a *duration* is how long each of
several things lasted that ended: a state, a request. The kind decides which *when* fits; simctl checks that before
anything starts.
"""

FACT_EXAMPLES = """
`others` closes the world: with `ESTABLISHED: 1, others: 0` there is one open connection and no other socket, listeners
aside. `errors` is a count, or counts by name: `RemoteDisconnected`, `ConnectionResetError`, `BrokenPipeError`,
`ConnectionRefusedError`, `ReadTimeout`, `WriteTimeout`, `ConnectTimeout`, `NameResolutionError`, and what `simctl nodes
KIND` lists of a client. A name that the client cannot report is refused, and an error that happened and that no
expectation names is told in a note. What a library tries again by itself is one request: `requests`, `errors` and
`statuses` count what the program got, `repeated` the attempts before. `served` and `closed_by` are what a server's
program reports; of a kind whose program does not they are refused. `closed_by` counts by reason: `idle`, `request`,
`limit`, `peer`, `error`, `shutdown`, and of `origin` with a `FAULT` also `unannounced`, `unanswered`, `unread`.

`duration` is a range that each request must keep, or percentiles by nearest rank: `{p50: ..20ms, p99: ..1s, max:
..3s}`. A request ends in the window, and its time is from the call of the library to the answer or error, with what
the library tried again. `bytes` are data as TCP carries it: HTTP's headers count, TCP's do not. They come from the
samples and from the sequence number of each FIN; what neither tells is unknown. `zero_windows` and `keepalive_probes:
{sent: ...}` are counters of the kernel, for the node as a whole. A probe is `unanswered` when nothing came before the
next was due, or the kernel gave the connection up. `conntrack` counts entries for TCP at named moments, all or by the
state that `conntrack -L` shows; in between it is unknown.

```yaml
expect:
  - that: the server closed one connection, because it was idle
    over: load.start .. idle.end
    client: {connections: 1, requests: 5, errors: {RemoteDisconnected: 0}, requests_per_connection: 5}
    server: {served: 5, closed_by: {idle: 1}, first_fin: 1, resets: 0}

  - that: what waits unread in the client is the FIN
    at: idle.end
    client: {recv_q: {CLOSE_WAIT: 1}, send_q: {CLOSE_WAIT: 0}}

  - that: whoever was in FIN_WAIT2 was not there for long
    over: start .. end
    server: {lasts: {FIN_WAIT2: 1s..8s}}

  - that: nobody waited, and the responses were as large as they should be
    over: load.start .. load.end
    client: {duration: {p95: ..200ms, max: ..2s}, bytes: {received: 500..2000}}
```
"""

VALUES = """
| value | written | means |
| --- | --- | --- |
| count | `100` | exactly 100 |
| | `9..11` | from 9 to 11, both included |
| | `1..` | at least 1 |
| | `..4` | at most 4 |
| duration | `500ms`, `8s`, `1.5s`, `2m`, `1m30s`, `1h` | always with its unit; only `0` needs none |
| range of durations (`lasts`, `duration`) | `60s..62.1s`, `5s..`, `..500ms` | as for counts |
| moment | `load.end + 1s` | see above |
| window | `load.start .. idle.end` | see above |
"""

VERDICTS = """
Each expectation is judged **pass**, **fail** or **unknown**. Unknown means that the recording cannot tell: no socket
or connection matched (unless 0 was asked for), events were lost, a moment was never reached, or the samples were too
far apart to exclude the opposite. Unknown is never counted as pass. The scenario's verdict is the worst of its
expectations: fail before unknown before pass. The exit code is 0 for pass, 1 for fail, 4 for unknown.
"""

TRAPS = """
simctl reads YAML 1.1, as Compose files are read, and refuses what would silently mean something else:

- **A key that stands twice.** Plain YAML keeps the last one and drops the first.
- **An unknown key.** The message names the nearest one that exists.
- **A key without a value.** `CLOSE_WAIT:` would assert nothing.
- **`on`, `off`, `yes`, `no`, `true`, `false` as a key.** YAML reads them as booleans: quote them.
- **`22:22`.** YAML reads it as a number to the base 60, 1342: quote it.
- **A number without its unit** where a duration belongs: `wait: 8`.

What it cannot refuse, because it is legal:

- `yes`, `no`, `on`, `off` as a *value* is true or false; in `set` and `headers` it becomes the text `true` or `false`.
- A number in `set` or `headers` becomes text as YAML understood it: `1.10` arrives as `1.1`, `0644` as `420`. Quote it.
- ` #` starts a comment, and `: ` inside of a sentence starts a value: quote such sentences.

Dates stay text. Anchors, aliases and `<<` work.
"""

CHECKING = """
`simctl validate FILE` checks a file and its topology without starting anything; every problem is reported with
file, line and column. `simctl schema` prints a JSON Schema for editors: store it as `scenario.schema.json` and write
`# yaml-language-server: $schema=scenario.schema.json` on the first line of a scenario to get completion in VS Code. The
schema knows the shape of a file; whether a step, a node or a fact fits, only `simctl validate` can tell.
"""
