#!/bin/sh
# Takes out of a Debian with Python what an image does not run: package managers, what gains rights, and paper. The list of
# packages that remain stays where scanners look for it. Runs in a stage of its own; what is left is copied out of it.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
status=/var/lib/dpkg/status

gone="adduser apt bash bsdutils debconf debian-archive-keyring e2fsprogs gpgv init-system-helpers libapt-pkg6.0 libext2fs2
libpam-modules libpam-modules-bin libpam-runtime libpam0g libsemanage2 libsemanage-common libsepol2 libss2 login logsave
mount ncurses-bin openssl passwd perl-base python3-distutils python3-lib2to3 python3-pip-whl python3-setuptools-whl
python3-venv python3.11-venv sysvinit-utils tar util-linux util-linux-extra"
# What is named stays: a workspace has a shell that people know.
for kept in "$@"; do gone=$(printf '%s\n' $gone | grep -vx "$kept"); done

rm -f /var/lib/dpkg/info/*.prerm /var/lib/dpkg/info/*.postrm
dpkg-query --show --showformat '${Package}\n' | sort >/tmp/here
# shellcheck disable=SC2046
dpkg --purge --force-all $(printf '%s\n' $gone | sort | comm -12 - /tmp/here) >/tmp/purged 2>&1 || { cat /tmp/purged; exit 1; }

# dpkg itself last, without its help.
dpkg-query --listfiles dpkg | while read -r file; do [ -d "$file" ] || rm -f "$file"; done
awk 'BEGIN { RS = ""; ORS = "\n\n" } !/^Package: dpkg\n/' "$status" >/tmp/status
rm -rf /var/lib/dpkg /etc/dpkg /var/lib/apt /etc/apt /usr/lib/apt /usr/lib/dpkg
mkdir -p /var/lib/dpkg && mv /tmp/status "$status"

for python in /usr/lib/python3* /usr/local/lib/python3*; do
  rm -rf "$python/ensurepip" "$python"/site-packages/pip* "$python"/site-packages/setuptools* "$python"/site-packages/wheel*
done
rm -f /usr/local/bin/pip* /usr/local/bin/wheel /usr/local/bin/idle* /usr/local/bin/pydoc* /usr/local/bin/2to3*
rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian /usr/share/perl* /usr/share/bug \
  /usr/share/python-wheels /var/cache/* /var/log/* /var/backups/* /root/.[!.]* /etc/machine-id /etc/*- /usr/share/debconf
# Who runs things here, by name.
cat >/etc/passwd <<EOF
root:x:0:0:root:/root:/bin/false
researcher:x:1000:1000:researcher:/home/researcher:/bin/sh
tre:x:10001:10001:tre:/var/lib/tre:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
EOF
printf 'root:x:0:\nresearcher:x:1000:\ntre:x:10001:\nnogroup:x:65534:\n' >/etc/group
rm -f /etc/shadow /etc/gshadow /etc/subuid /etc/subgid
mkdir -p /home/researcher /data /run/tre /run/server /run/jupyter /var/lib/tre
find / -xdev -name __pycache__ -prune -exec rm -rf {} +
find / -xdev -perm /6000 -type f -exec chmod ug-s {} +
find / -xdev -type d -perm /022 ! -perm -1000 -exec chmod go-w {} +
python3 -m compileall -q --invalidation-mode unchecked-hash -x 'test|idlelib|lib2to3' \
  "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"
mkdir -p /usr/share/sbom && python3 images/shared/debian.py >/usr/share/sbom/debian.cdx.json
rm -rf /tmp/* /var/tmp/* /src
