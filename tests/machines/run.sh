#!/usr/bin/env bash
# Runs the tests of exec on another kernel, or another processor, in a machine that QEMU makes:
#
#     tests/machines/run.sh arm64
#     tests/machines/run.sh amd64 linux-image-6.12-amd64 programs sharing
#
# The second word is the kernel's Debian package, linux-image-ARCH if there is none; further words are test files of
# tests/exec, all if there are none. Needs apt with Debian's archive, cpio, xz, npm, and qemu-system-x86 or
# qemu-system-arm; nothing is installed and nobody has to be root. What was fetched is kept in $MACHINES. QEMU carries
# out each instruction itself, which takes many times as long as a processor: ACCEL=kvm where there is one.
set -euo pipefail
arch=${1:?amd64 or arm64}
kernel=${2:-linux-image-$arch}
shift $(($# < 2 ? $# : 2))
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
folder=${MACHINES:-${XDG_CACHE_HOME:-$HOME/.cache}/ism-machines}/$arch-$kernel
root=$folder/root
case $arch in
  amd64) machine=(qemu-system-x86_64) npm=linux-x64-glibc console=ttyS0 cpu=max ;;
  arm64) machine=(qemu-system-aarch64 -M virt) npm=linux-arm64-glibc console=ttyAMA0 cpu=cortex-a72 ;;
  *) echo "run.sh: $arch is neither amd64 nor arm64" >&2 && exit 2 ;;
esac
packages=(busybox-static dash bash coreutils util-linux bsdutils grep sed findutils procps binutils gcc libc6-dev
  linux-libc-dev musl-tools python3-minimal libpython3-stdlib rustc golang-go)

# A root of its own, of packages that are unpacked and not installed.
unpack() {
  local apt=$folder/apt new=$folder/new name
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$new"
  : >"$apt/status"
  cat >"$apt/conf" <<CONF
APT::Architecture "$arch";
APT::Architectures {"$arch";};
APT::Install-Recommends "false";
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
CONF
  export APT_CONFIG=$apt/conf
  apt-get update -qq
  apt-get install -qq -y -d "$kernel" "${packages[@]}" >/dev/null
  mkdir -p "$new"/{proc,sys,dev,tmp,run,etc,root,usr/bin}
  for name in "$apt"/archives/*.deb; do dpkg-deb -x "$name" "$new"; done
  # What the packages' own scripts would have made.
  [ -e "$new/bin/sh" ] || ln -s dash "$new/bin/sh"
  ln -sf gcc "$new/usr/bin/cc"
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/sh' >"$new/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$new/etc/group"
  (cd "$folder" && tar xzf "$(npm pack --silent "@deno/$npm@2.9.6")" && mv package/deno "$new/usr/bin/deno" && rm -r package ./*.tgz)
  rm -rf "$apt"
  mv "$new" "$root"
}
[ -d "$root" ] || unpack

# The checkout as it is, with what it imports.
rm -rf "$root/ism"
mkdir -p "$root/ism"
(cd "$checkout" && git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$root/ism" 2>/dev/null) || true
(cd "$root/ism" && DENO_DIR="$root/root/deno" npx -y deno@2.9.6 cache --quiet main.ts tests/exec/*.ts)

# The first file system: what finds the root.
release=$(basename "$root"/lib/modules/*)
first=$(mktemp -d)
trap 'rm -rf "$first"' EXIT
mkdir -p "$first/fs/bin" "$first/fs/proc" "$first/fs/lib/modules/$release"
modules=$root/lib/modules/$release
busybox=$(find "$root/bin" "$root/usr/bin" -name busybox | head -n 1)
cp "$busybox" "$first/fs/bin/"
for room in drivers/virtio net/9p fs/9p fs/netfs fs/fscache fs/overlayfs; do
  [ ! -d "$modules/kernel/$room" ] || (cd "$modules" && cp -r --parents "kernel/$room" "$first/fs/lib/modules/$release/")
done
find "$first/fs" -name '*.xz' -exec xz -d {} +
cp "$here/init" "$first/fs/init"
{ echo "set -- $*"; cat "$here/exec.sh"; } >"$first/fs/command"
chmod 755 "$first/fs/init"
(cd "$first/fs" && find . | cpio -o -H newc --quiet) | gzip -1 >"$first/initrd"

nice "${machine[@]}" -accel "${ACCEL:-tcg}" -cpu "$cpu" -smp 2 -m 3G -display none -nodefaults -no-reboot -serial stdio \
  -kernel "$root/boot/vmlinuz-$release" -initrd "$first/initrd" -append "console=$console quiet panic=-1" \
  -fsdev "local,id=root,path=$root,security_model=none,readonly=on,multidevs=remap" \
  -device virtio-9p-pci,fsdev=root,mount_tag=root </dev/null | sed -u 's,\r,,' | tee "$first/log"
grep -q '^machine: ended with 0$' "$first/log"
