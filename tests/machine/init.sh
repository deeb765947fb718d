#!/bin/busybox sh
# The first program of a machine test's guest: modules, file systems, then the test's script as /script,
# inside the Debian on the first disk when the script says "#root" in its first lines; /more of a test's own initramfs
# is /tmp/more there.
/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
while read -r module; do insmod "/modules/$module.ko" ; done </modules/order

run=/script
if head -n 3 /script | grep -q '^#root'; then
    mount -o ro /dev/vda /root
    for folder in proc sys dev; do mount --move /$folder /root/$folder; done
    mount -t tmpfs tmp /root/tmp
    cp /script /root/tmp/script
    if [ -d /more ]; then mkdir /root/tmp/more && mount -o bind /more /root/tmp/more; fi
    run="chroot /root /bin/sh /tmp/script"
else
    run="sh /script"
fi
echo "SCENARIO-BEGIN"
$run
echo "SCENARIO-END $?"
[ -e /proc/self ] || mount -t proc proc /proc
poweroff -f
