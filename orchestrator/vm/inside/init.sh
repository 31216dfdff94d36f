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
# A node's own stand over these, so they must be there.
echo "127.0.0.1 localhost" >/etc/hosts
: >/etc/resolv.conf
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 XDG_CACHE_HOME=/var/cache PYTHONHASHSEED=0 PYTHONPATH=/opt/simctl
cd /root
/usr/bin/python3 -P -m orchestrator.vm.inside.agent </dev/null
echo "the agent ended with status $?" >&2
