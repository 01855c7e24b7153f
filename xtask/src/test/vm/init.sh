#!/bin/busybox sh
# The guest's first process: loads what a root needs, puts the host's root
# together with a place for changes, and goes on there.
b=/bin/busybox
give_up() {
	echo "guest: $1"
	$b poweroff -f
	$b sleep 60
}
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for module in @MODULES@; do
	$b insmod "/modules/$module" || give_up "loading $module failed"
done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 root /lower ||
	give_up "the host's root cannot be mounted"
$b mount -t tmpfs changes /changes
$b mkdir /changes/upper /changes/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/changes/upper,workdir=/changes/work overlay /joined ||
	give_up "overlayfs cannot be mounted"
$b mkdir -p /joined/mnt
$b mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 share /joined/mnt ||
	give_up "the shared directory cannot be mounted"
exec $b switch_root /joined /bin/sh /mnt/guest.sh
