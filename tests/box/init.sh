#!/bin/busybox sh
# The first program of the box: the host's files under a writable layer, then the command from the file
# $BOX_COMMAND of the host.
/bin/busybox mkdir -p /proc /sys /dev /host /layer /new
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro hostroot /host
mount -t tmpfs -o size=2g layer /layer
mkdir -p /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new
for folder in proc sys dev; do mount --move /$folder /new/$folder; done
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts devpts /new/dev/pts
mount -t tmpfs shm /new/dev/shm
ip link set lo up
chroot /new /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root IN_BOX=1 \
    bash "$BOX_COMMAND" >/new/dev/hvc0 2>&1 </new/dev/null
echo "BOX-STATUS $?" >/new/dev/hvc0
sleep 0.3
poweroff -f
