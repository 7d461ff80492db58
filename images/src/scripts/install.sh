# Runs a program that makes a tree, in an overlay that never waits for the disk: dpkg asks for that after each of its notes,
# thousands of times, and a base that is not finished is thrown away anyway. Where no such overlay can be, it takes longer.
# $1: a folder on the disk, which gets the tree `root`; then the program, which makes it in `$1/overlay/root`.
umask 022
aside=$1
shift
mkdir "$aside/overlay" "$aside/work" "$aside/nothing"
# Made before there is an overlay: what is made through one at its top gets an attribute of it.
mkdir "$aside/overlay/root"
options=volatile,lowerdir=$aside/nothing,upperdir=$aside/overlay,workdir=$aside/work
mounted=yes
mount -t overlay -o "$options" dmhost "$aside/overlay" 2>/dev/null || mounted=no
"$@"
[ $mounted = no ] || umount "$aside/overlay"
mv "$aside/overlay/root" "$aside/root"
rm -rf "$aside/overlay" "$aside/work" "$aside/nothing"
