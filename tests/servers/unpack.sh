#!/bin/sh
# Unpacks a Debian package, with what it needs and the system has not, as FOLDER/PACKAGE. Nothing is
# installed and nothing of the system changes, so it takes no root. Usage: unpack.sh FOLDER PACKAGE
set -eu
folder=$1 package=$2
[ ! -e "$folder/$package" ] || exit 0
command -v apt-get > /dev/null || { echo "there is no apt-get here" >&2; exit 1; }

new=$folder/$package.new apt=$folder/apt
rm -rf "$new"
mkdir -p "$new/root" "$new/bin" "$apt/lists/partial" "$apt/cache/archives/partial"

# apt with lists and sources of its own. Sandboxed, it could not read them below a home folder.
apt() {
    command=$1
    shift
    "apt-$command" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=true -o APT::Sandbox::User=root \
        -o Acquire::GzipIndexes=true -o Acquire::Languages=none -o Acquire::Retries=3 "$@" >&2
}

# The system's sources, but only those of the distribution: others may be out of reach.
. /etc/os-release
keyring=/usr/share/keyrings/$ID-archive-keyring.gpg
[ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
# Nothing is to expand here, the format is apt's.
# shellcheck disable=SC2016
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sort -u | grep " $VERSION_CODENAME" | sed "s|^|deb ${signed:-}|" > "$apt/sources.list"
[ -s "$apt/sources.list" ] || { echo "apt has no sources of $VERSION_CODENAME" >&2; exit 1; }
apt get update --error-on=any

# Debian 12 has some packages among its backports alone, which are no source of a bare system.
known() { apt cache show "$package" 2> /dev/null; }
if ! known; then
    sed -n "s| $VERSION_CODENAME main\$| $VERSION_CODENAME-backports main|p" "$apt/sources.list" \
        > "$apt/backports"
    cat "$apt/backports" >> "$apt/sources.list"
    apt get update --error-on=any
fi

rm -f "$apt"/cache/archives/*.deb
apt get install --yes --download-only --no-install-recommends "$package"
for deb in "$apt"/cache/archives/*.deb; do
    [ -e "$deb" ] || { echo "$package is installed, but what is wanted of it is not found" >&2; exit 1; }
    dpkg-deb --extract "$deb" "$new/root"
done
rm "$apt"/cache/archives/*.deb

# Programs start through a script each, for the libraries that are beside them.
libraries=$(cd "$new/root" && ls -d usr/lib/*-linux-gnu* lib/*-linux-gnu* 2> /dev/null || true)
for program in "$new"/root/usr/bin/*; do
    [ -x "$program" ] || continue
    script=$new/bin/${program##*/}
    {
        echo '#!/bin/sh'
        echo 'root=$(cd "${0%/*}/../root" && pwd)'
        for library in $libraries; do
            echo "LD_LIBRARY_PATH=\$root/$library\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
        done
        echo 'export LD_LIBRARY_PATH'
        echo "exec \"\$root/usr/bin/${program##*/}\" \"\$@\""
    } > "$script"
    chmod +x "$script"
done
mv "$new" "$folder/$package"
