#!/bin/sh
# r.sh LIST: R and its packages from Debian, into what becomes the image. Before bare.sh, which takes package managers away.
# The same bytes each time, for one state of Debian's mirror.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
# shellcheck disable=SC2046
apt-get -q -y --no-install-recommends install $(grep -v '^#' "$1") >/tmp/installed 2>&1 || { cat /tmp/installed; exit 1; }
# What opens browsers, asks about files of configuration, prints, and makes packages. R itself runs none of it.
rm -f /var/lib/dpkg/info/*.prerm /var/lib/dpkg/info/*.postrm
for package in xdg-utils ucf sensible-utils libpaper-utils littler perl perl-modules-5.36 libperl5.36; do
  dpkg-query --show "$package" >/dev/null 2>&1 && dpkg --purge --force-all "$package" >/dev/null 2>&1
done
rm -rf /var/lib/ucf /etc/ucf.conf
