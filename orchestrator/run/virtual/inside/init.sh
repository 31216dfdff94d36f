# The guest's first process once its root file system is there. It starts the agent and buries orphans. When the agent
# ends, which it never should, so does this, and the kernel panics: the host is told, and shows the console.
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t devpts devpts /dev/pts
mount -t tracefs tracefs /sys/kernel/tracing
ip link set lo up
hostname guest
# What the kernel does now and then by itself, some 8 times a second, would be most of the cost of an idle hour.
echo 0 >/proc/sys/vm/compaction_proactiveness
echo 86400 >/proc/sys/vm/stat_interval
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
echo 0 >/proc/sys/kernel/hung_task_timeout_secs
for family in 4 6; do echo 86400000 >/proc/sys/net/ipv$family/neigh/default/interval_probe_time_ms; done
# A node's own stand over these, so they must be there.
echo "127.0.0.1 localhost" >/etc/hosts
: >/etc/resolv.conf
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 XDG_CACHE_HOME=/var/cache PYTHONHASHSEED=0 PYTHONPATH=/opt/simctl
cd /root
/usr/bin/python3 -P -m orchestrator.run.virtual.inside.agent </dev/null
echo "the agent ended with status $?" >&2
