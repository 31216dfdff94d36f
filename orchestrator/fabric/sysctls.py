"""Every kernel setting that decides what a connection does, pinned for each node in one place.

A new network namespace takes some of these from the machine, so without pinning the same scenario would tell another
story on another machine. Values are the kernel's defaults (ip-sysctl documentation); a topology's `sysctls` go on top.
"""

PINNED: dict[str, str] = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.tcp_abort_on_overflow": "0",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_max_syn_backlog": "4096",
    "net.ipv4.tcp_max_tw_buckets": "131072",
    "net.ipv4.tcp_retries1": "3",
    "net.ipv4.tcp_retries2": "15",
    "net.ipv4.tcp_rfc1337": "0",
    "net.ipv4.tcp_syn_retries": "6",
    "net.ipv4.tcp_synack_retries": "5",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_tw_reuse": "2",
    "net.core.somaxconn": "4096",
    "net.ipv6.conf.all.disable_ipv6": "1",
}
