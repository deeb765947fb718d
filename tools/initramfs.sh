# pack_root FOLDER FILE: an initramfs of the folder; the same bytes for the same contents and times.
pack_root() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) >"$2"; }
