# binaries.sh - the services' binaries for one architecture, on a machine of amd64; for release.sh.

declare -A TARGET=([amd64]=x86_64-unknown-linux-gnu [arm64]=aarch64-unknown-linux-gnu)
declare -A TRIPLET=([amd64]=x86_64-linux-gnu [arm64]=aarch64-linux-gnu)

# The oldest glibc that the binaries run with.
GLIBC=2.34

# can_compile ARCH: whether this machine can compile for it; prints what it lacks. Tries to get Rust's standard library.
can_compile() {
  local target=${TARGET[$1]} triplet=${TRIPLET[$1]} rust
  rust=$(rustc --version | cut -d ' ' -f 2)
  if [[ ! -d $(rustc --print target-libdir --target "$target") ]] && ! timeout 300 rustup target add "$target" >/dev/null 2>&1; then
    echo "Rust's standard library $rust for $target (rustup target add $target)"; return 1
  fi
  command -v "$triplet-g++" >/dev/null || { echo "a C compiler (Debian: g++-${triplet//_/-}, or build-essential on such a machine)"; return 1; }
}

# build ARCH PACKAGES_FOLDER (an absolute path): compiles both services below target/release-build. OpenSSL is linked statically: the archives then need glibc and
# libgcc alone, whatever OpenSSL a machine has. No path of this machine gets into the binaries.
build() {
  local target=${TARGET[$1]} triplet=${TRIPLET[$1]} openssl=$2/libssl-dev/root/usr cargo_home=${CARGO_HOME:-$HOME/.cargo}
  local name=${target//-/_}
  local unpathed="-ffile-prefix-map=$PWD=/source -ffile-prefix-map=$cargo_home=/cargo"
  local include="-isystem $openssl/include -isystem $openssl/include/$triplet"
  local host=x86_64-linux-gnu
  local settings=(
    "CARGO_TARGET_${name^^}_LINKER=$triplet-gcc"
    CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$PWD=/source"$'\x1f'"--remap-path-prefix=$cargo_home=/cargo"
    # librdkafka's `configure` reads these; crates with C code do, too, and for build scripts the ones with HOST.
    CC="$triplet-gcc" CXX="$triplet-g++" AR="$triplet-ar" CFLAGS="$unpathed $include" CXXFLAGS="$unpathed $include" LDFLAGS="-L$openssl/lib/$triplet"
    HOST_CC="$host-gcc" HOST_CXX="$host-g++" HOST_AR="$host-ar" HOST_CFLAGS= HOST_CXXFLAGS=
    OPENSSL_STATIC=1 OPENSSL_LIB_DIR="$openssl/lib/$triplet" OPENSSL_INCLUDE_DIR="$openssl/include" LIBZ_SYS_STATIC=1
    # No library of this machine.
    PKG_CONFIG_LIBDIR="$openssl/lib/$triplet/pkgconfig" PKG_CONFIG_SYSROOT_DIR="${openssl%/usr}" PKG_CONFIG_ALLOW_CROSS=1
  )
  "$triplet-gcc" --version | head -n 1 >"$2/compiler"
  env "${settings[@]}" cargo build --locked --release --target "$target" --target-dir target/release-build \
    -p user-service -p notification-service \
    --features user-service/kafka-tls,user-service/otel,notification-service/kafka-tls,notification-service/otel
}

# runs_elsewhere BINARY ARCH: whether it needs nothing but glibc and libgcc and knows no path of this machine; prints what is wrong.
runs_elsewhere() {
  local objdump=${TRIPLET[$2]}-objdump newest path
  newest=$({ echo "$GLIBC"; "$objdump" -T "$1" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p'; } | sort -uV | tail -n 1)
  [[ $newest == "$GLIBC" ]] || { echo "$1 needs glibc $newest, expected at most $GLIBC"; return 1; }
  if "$objdump" -p "$1" | awk '/NEEDED/ {print $2}' | grep -vE '^(lib(c|m)\.so\.6|libgcc_s\.so\.1|ld-linux-.*)$'; then
    echo "$1 needs the libraries above"; return 1
  fi
  for path in "$PWD/" "${CARGO_HOME:-$HOME/.cargo}/"; do
    ! grep -qaF "$path" "$1" || { echo "$1 contains the path $path"; return 1; }
  done
}
