"""Every key of a Compose file, and what it means in a lab. docs/topology.md shows these tables; a test compares them.

Source: the Compose Specification (compose-spec.json). A key in none of the tables is unknown to Compose too.
"""

from __future__ import annotations

from orchestrator.topology.compose.keytable import KeyTable as KeyTable

_LIMITS = "resources of a node are not limited"
_PRIVILEGE = "a node has the least capabilities and no more; see cap_add"
_HOST = "a node shares nothing with the host"
_ONCE = "a node is started once and is never replaced"
_NAMES = "names come from /etc/hosts; a lab has no name server"
_IMAGES = "images are built by `simctl images build` or stand ready in the engine"

TOP = KeyTable(
    "a Compose file",
    read={
        "version": "accepted and not looked at, as in Compose",
        "name": "accepted and not looked at: a run has its own name",
        "services": "the nodes",
        "networks": "the networks; a service without any joins `default`",
        "x-simctl": "`addresses`: virtual addresses, which steps move from node to node; see below",
    },
    ignored={
        "volumes": "there are no named volumes; services use bind mounts",
        "configs": "no service can use them",
        "secrets": "no service can use them",
    },
    refused={
        "include": "a topology is one file; copy the services in",
        "models": "a lab has no language models",
    },
)

SERVICE = KeyTable(
    "a service",
    read={
        "image": "`simctl/KIND` is a node kind and runs everywhere; any other image runs under docker only",
        "build": "passed over with a note when there is an `image`; an error without one: simctl builds no others",
        "command": "arguments for the kind's program, or the image's command; a text is split as a shell would",
        "entrypoint": "replaces the image's entrypoint; on a node kind only with `--allow-exec`",
        "environment": "map or list; a name without a value takes it from the variables; under netns see below",
        "env_file": "file, list of files, or `{path, required}`; inside the Compose file's folder; `environment` wins",
        "networks": "list or map; of a map: `aliases`, `ipv4_address`",
        "depends_on": "list or map with `condition`: `service_started` or `service_healthy`",
        "healthcheck": "`test`, `interval`, `timeout`, `retries`, `start_period`, `disable`",
        "sysctls": "map or list; only `net.*` without `--allow-exec`",
        "cap_add": "a short list of harmless ones without `--allow-exec`; under docker only",
        "deploy": "`replicas`; the rest is passed over",
        "scale": "as `deploy.replicas`",
        "extra_hosts": "list of `name:address` or `name=address`, or map",
        "hostname": "the node's own name for itself",
        "volumes": "bind mounts of what lies inside the Compose file's folder; under netns see below",
        "x-simctl": "`routes`: a map of networks to the node through which this one reaches each",
    },
    ignored={
        "annotations": "nothing here reads them",
        "attach": "logs of every node are kept in the run folder",
        "blkio_config": _LIMITS,
        "cap_drop": _PRIVILEGE,
        "cgroup": _HOST,
        "cgroup_parent": _HOST,
        "container_name": "a node is called as its service",
        "cpu_count": _LIMITS,
        "cpu_percent": _LIMITS,
        "cpu_period": _LIMITS,
        "cpu_quota": _LIMITS,
        "cpu_rt_period": _LIMITS,
        "cpu_rt_runtime": _LIMITS,
        "cpu_shares": _LIMITS,
        "cpus": _LIMITS,
        "cpuset": _LIMITS,
        "develop": "a lab does not watch source files",
        "dns": _NAMES,
        "dns_opt": _NAMES,
        "dns_search": _NAMES,
        "domainname": _NAMES,
        "expose": "every port of a node can be reached from its networks",
        "group_add": "a program runs as its image has it",
        "init": "the first process of every node reaps orphans already",
        "labels": "nothing here reads them",
        "label_file": "nothing here reads them",
        "logging": "logs of every node are kept in the run folder",
        "mac_address": "the kernel chooses them",
        "mem_limit": _LIMITS,
        "mem_reservation": _LIMITS,
        "mem_swappiness": _LIMITS,
        "memswap_limit": _LIMITS,
        "oom_kill_disable": _LIMITS,
        "oom_score_adj": _LIMITS,
        "pids_limit": _LIMITS,
        "platform": _IMAGES,
        "ports": "a lab is closed: nothing is published on the host",
        "privileged": _PRIVILEGE,
        "profiles": "every service is a node, whatever its profiles",
        "pull_policy": _IMAGES,
        "pull_refresh_after": _IMAGES,
        "read_only": "a node's file system ends with the node",
        "restart": _ONCE,
        "security_opt": _PRIVILEGE,
        "shm_size": _LIMITS,
        "stdin_open": "standard input is the control channel of a node",
        "stop_grace_period": "simctl ends nodes itself; a scenario's `stop` waits for the program",
        "stop_signal": "simctl ends nodes itself; a scenario's `stop` sends SIGTERM",
        "storage_opt": _LIMITS,
        "tmpfs": "a node has a /tmp of its own",
        "tty": "standard streams are the control channel of a node",
        "ulimits": _LIMITS,
        "user": "a program runs as its image has it",
        "working_dir": "a program runs where its image has it",
    },
    refused={
        "configs": "use `volumes` with a file inside the Compose file's folder",
        "credential_spec": "it is for Windows",
        "device_cgroup_rules": _HOST,
        "devices": _HOST,
        "extends": "use an anchor and `<<` in the same file",
        "external_links": "a lab is closed: it reaches no container outside",
        "gpus": _HOST,
        "ipc": _HOST,
        "isolation": "it is for Windows",
        "links": "use `depends_on`, and `aliases` under `networks` for other names",
        "models": "a lab has no language models",
        "network_mode": "a node has a network namespace of its own, wired by simctl; use `networks`",
        "pid": _HOST,
        "post_start": "use a step of the scenario",
        "pre_stop": "use a step of the scenario",
        "provider": "every service is a node",
        "runtime": "simctl chooses where nodes live; see `--runtime`",
        "secrets": "use `volumes` or `environment`; a lab needs no real secrets",
        "use_api_socket": "a node never gets the engine's socket",
        "userns_mode": _HOST,
        "uts": _HOST,
        "volumes_from": "name the bind mounts of each service",
    },
)

ATTACHMENT = KeyTable(
    "a service's network",
    read={
        "aliases": "further names of the node in that network",
        "ipv4_address": "its address; the network needs a `subnet` then",
    },
    ignored={
        "driver_opts": "every network is a bridge",
        "gw_priority": "a lab is closed: there is no gateway",
        "interface_name": "interfaces are eth0, eth1, ... in the order of the service's networks",
        "ipv6_address": "a lab has IPv4 only",
        "link_local_ips": "a node has one address in a network",
        "mac_address": "the kernel chooses them",
        "priority": "interfaces are eth0, eth1, ... in the order of the service's networks",
    },
    prefix="networks.",
)

DEPLOY = KeyTable(
    "deploy",
    read={"replicas": "how many nodes: SERVICE-1, SERVICE-2, ...; one node keeps the service's name"},
    ignored={
        "endpoint_mode": "the service's name means its first node",
        "labels": "nothing here reads them",
        "mode": "`replicas` says how many",
        "placement": "a lab lives on one machine",
        "resources": _LIMITS,
        "restart_policy": _ONCE,
        "rollback_config": _ONCE,
        "update_config": _ONCE,
    },
    prefix="deploy.",
)

HEALTHCHECK = KeyTable(
    "healthcheck",
    read={
        "test": "a text (CMD-SHELL), or a list that begins with CMD, CMD-SHELL or NONE",
        "interval": "a duration, 30s without it",
        "timeout": "a duration, 30s without it",
        "retries": "how many failures in a row make it unhealthy, 3 without it",
        "start_period": "failures in this time after the start do not count; 0s without it",
        "disable": "true: there is none",
    },
    ignored={"start_interval": "`interval` is used from the start"},
    prefix="healthcheck.",
)

DEPENDENCY = KeyTable(
    "a dependency",
    read={
        "condition": "service_started or service_healthy",
        "required": "false: may be missing from the file",
    },
    ignored={"restart": _ONCE},
    prefix="depends_on.",
)

ENV_FILE = KeyTable(
    "an env_file",
    read={
        "path": "relative to the Compose file, and inside its folder",
        "required": "false: may be missing",
    },
    refused={"format": "only the default format is read"},
    prefix="env_file.",
)

VOLUME = KeyTable(
    "a volume",
    read={
        "type": "`bind`; any other is an error",
        "source": "relative to the Compose file, and inside its folder; must exist",
        "target": "an absolute path in the node",
        "read_only": "true: the node cannot write there",
    },
    ignored={
        "bind": "the source must exist, and mounts do not propagate",
        "consistency": "it has an effect on macOS only",
    },
    refused={
        "volume": "there are no named volumes: use a bind mount",
        "tmpfs": "a node has a /tmp of its own",
        "image": "use a bind mount",
    },
    prefix="volumes.",
)

NETWORK = KeyTable(
    "a network",
    read={
        "internal": "every network of a lab is closed, whatever stands here",
        "driver": "every network is a bridge; another driver gives a note",
        "external": "`true` is an error: a lab never joins a network of the machine",
        "ipam": "`config`: the `subnet`",
    },
    ignored={
        "attachable": "nothing joins a lab from outside",
        "driver_opts": "every network is a bridge",
        "enable_ipv4": "a lab has IPv4 only",
        "enable_ipv6": "a lab has IPv4 only",
        "labels": "nothing here reads them",
        "name": "a run has names of its own",
    },
)

IPAM = KeyTable(
    "ipam",
    read={"config": "a list; the first IPv4 `subnet` counts"},
    ignored={"driver": "simctl assigns the addresses", "options": "simctl assigns the addresses"},
    prefix="ipam.",
)

IPAM_CONFIG = KeyTable(
    "an ipam config",
    read={"subnet": "private or benchmark address space, such as 10.5.0.0/24"},
    ignored={
        "aux_addresses": "simctl assigns the addresses",
        "gateway": "a lab is closed: there is no gateway",
        "ip_range": "simctl assigns the addresses",
    },
    prefix="ipam.config.",
)

EXTENSION = KeyTable(
    "x-simctl",
    read={"addresses": "a map of names: each is an address of a network's, which one node has at a time"},
    prefix="x-simctl.",
)

VIRTUAL_ADDRESS = KeyTable(
    "a virtual address",
    read={
        "network": "the network whose subnet it is of",
        "node": "the node that has it when the lab comes up",
    },
    prefix="x-simctl.addresses.",
)

SERVICE_EXTENSION = KeyTable(
    "a service's x-simctl",
    read={"routes": "network -> node on one of its own networks; it goes before the way that simctl finds"},
    prefix="services.x-simctl.",
)

TABLES = (
    TOP, SERVICE, ATTACHMENT, DEPLOY, HEALTHCHECK, DEPENDENCY, ENV_FILE, VOLUME, NETWORK, IPAM, IPAM_CONFIG, EXTENSION,
    VIRTUAL_ADDRESS, SERVICE_EXTENSION,
)  # fmt: skip
