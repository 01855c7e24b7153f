# Runs the tests as the guest's first process. Ahead of this stand the
# variables that `cargo xtask test vm` sets (vm.rs, `script`).
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
# Not /tmp: the checkout may be in it, and it is writable as everything is.
for directory in /dev/shm /run; do
	mount -t tmpfs tmpfs "$directory"
done
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
version=$(uname -r)
mkdir -p "/lib/modules/$version" /run/netns
mount --bind "$MODULES" "/lib/modules/$version"
# The kernel calls it by this name when a link or a queue needs a module.
[ -e /sbin/modprobe ] || ln -s "$TOOLS/bin/kmod" /sbin/modprobe
for module in virtio_net pktgen; do
	modprobe "$module" || echo "guest: no module $module"
done
ip link set lo up

cd "$ROOT" || echo "guest: no $ROOT"
export FORWARDER_VM=1
export FORWARDER_BIN="$DAEMON"
# Every deadline is this many times as long.
export FORWARDER_LAB_PATIENCE=12
export FORWARDER_LAB_DIR=/run/lab
export FORWARDER_SKIPPED_DIR=/mnt/skipped
# What cargo knows is in the two files.
export RUSTC=/bin/false
echo "guest: Linux $version, $(nproc) processors, up $(cut -d' ' -f1 /proc/uptime) s"
junit="$TARGET/nextest/vm/junit.xml"
rm -f "$junit"
# Not a terminal to nextest: it would draw its progress.
{
	cargo-nextest nextest run --profile vm --no-fail-fast \
		--cargo-metadata "$TARGET/vm/cargo.json" --binaries-metadata "$TARGET/vm/binaries.json" \
		--filterset "$TESTS" ${FILTER:+"$FILTER"} 2>&1
	echo "guest: nextest ended with $?, up $(cut -d' ' -f1 /proc/uptime) s"
} | cat
cp "$junit" /mnt/
[ -d /run/lab ] && cp -r /run/lab /mnt/lab
dmesg >/mnt/dmesg
sync
echo o >/proc/sysrq-trigger
sleep 60
