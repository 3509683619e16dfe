# debian.sh - Debian's packages for a release, of any architecture, from the package sources of this machine; for release.sh.

# What an image has beside the service, and OpenSSL, which is linked into the binaries.
BASE=(base-files ca-certificates gcc-12-base libc6 libgcc-s1)
LINKED=(libssl-dev)

# debian_packages ARCH FOLDER: downloads and unpacks them. FOLDER/packages.tsv lists name, version, architecture, SHA-256.
# apt checks the signatures. It works in a state of its own, so that the machine's own stays unchanged.
debian_packages() {
  local arch=$1 folder=$2 name deb
  rm -rf "$folder"
  mkdir -p "$folder"/{lists,archives}/partial "$folder/debs"
  local options=(-qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State::Lists=$folder/lists"
    -o Dir::State::status=/dev/null -o "Dir::Cache=$folder" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$folder/debs" && apt-get "${options[@]}" download "${BASE[@]}" "${LINKED[@]}")
  for deb in "$folder"/debs/*.deb; do
    name=$(dpkg-deb --field "$deb" Package)
    mkdir -p "$folder/$name"
    dpkg-deb --extract "$deb" "$folder/$name/root"
    dpkg-deb --field "$deb" >"$folder/$name/control"
    printf '%s\t%s\t%s\t%s\n' "$name" "$(dpkg-deb --field "$deb" Version)" "$(dpkg-deb --field "$deb" Architecture)" "$(sha256sum <"$deb" | cut -d ' ' -f 1)"
  done >"$folder/packages.tsv"
}

# base_layer PACKAGES_FOLDER ROOT: the files of an image beneath the service. No shell, no package manager.
base_layer() {
  local packages=$1 root=$2 name
  rm -rf "$root"
  mkdir -p "$root"/etc/ssl/certs "$root"/var/lib/dpkg/status.d
  for name in libc6 libgcc-s1; do cp -a "$packages/$name/root/." "$root/"; done
  rm -r "${root:?}"/usr/share "$root"/etc/ld.so.conf.d "$root"/usr/lib/*
  # What scanners ask for: the distribution, and each package, OpenSSL's too.
  cp -a "$packages"/base-files/root/etc/{debian_version,os-release} "$root/etc/"
  cp -a "$packages/base-files/root/usr/lib/os-release" "$root/usr/lib/"
  for name in "${BASE[@]}" "${LINKED[@]}"; do
    cp "$packages/$name/control" "$root/var/lib/dpkg/status.d/$name"
    # libgcc-s1's is that of gcc-12-base.
    [[ -L $packages/$name/root/usr/share/doc/$name ]] || install -D -m 644 {"$packages/$name/root","$root"}"/usr/share/doc/$name/copyright"
  done
  cp -a "$packages/base-files/root/usr/share/common-licenses" "$root/usr/share/"
  find "$packages/ca-certificates/root/usr/share/ca-certificates" -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 awk 1 >"$root/etc/ssl/certs/ca-certificates.crt"
  printf '%s\n' 'root:x:0:0:root:/:/sbin/nologin' 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' >"$root/etc/group"
  # Without it glibc asks DNS before it reads /etc/hosts.
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}
