/**
 * vfio.ioctl.vfs, vfio.rw.others, vfio.rw.mode and vfio.mmap.checks: what the VFS answers for every kind of descriptor,
 * on both releases.
 */
import { assertEquals } from "@std/assert";
import { RELEASES } from "../../lib/vfio/release.ts";
import { WouldHangError } from "../../lib/vfio/s390/would_hang.ts";
import { type Outcome, region, Rig, u64, words } from "../support/kernel.ts";

/** f_flags by hand (include/uapi/asm-generic/fcntl.h). */
const RDONLY = 0;
const WRONLY = 1;
const RDWR = 2;
const NONBLOCK = 0x800;
const LARGEFILE = 0x8000;

const FIOCLEX = 0x5451;
const FIONCLEX = 0x5450;
const FIONBIO = 0x5421;
const FIOASYNC = 0x5452;
const FIGETBSZ = 2;
const FIOQSIZE = 0x5460;
const FICLONE = 0x4004_9409;
const FIFREEZE = 0xc004_5877;
const FITHAW = 0xc004_5878;
const FIEMAP = 0xc020_660b;
const GETFSUUID = 0x8011_1500;
const GETFSSYSFSPATH = 0x8111_1501;

/** A descriptor of every kind, each on a rig of its own. */
const KINDS = ["container", "group", "device", "iommufd", "cdev", "unbound cdev", "eventfd", "clp"] as const;
type Kind = (typeof KINDS)[number];

const choices = (release: string) => ({ kernel: { release } });

function opened(kind: Kind, release: string): { rig: Rig; fd: number } {
  if (kind === "container" || kind === "group" || kind === "device") {
    const rig = Rig.opened("group", choices(release));
    return { rig, fd: rig[kind] };
  }
  const rig = kind === "unbound cdev" ? new Rig(choices(release)) : Rig.opened("cdev", choices(release));
  if (kind === "clp") return { rig, fd: rig.process.open("/dev/clp") };
  if (kind === "eventfd") return { rig, fd: rig.process.eventfd() };
  if (kind === "unbound cdev") return { rig, fd: rig.process.open("/dev/vfio/devices/vfio0") };
  return { rig, fd: kind === "cdev" ? rig.device : rig.iommufd };
}

const isNode = (kind: Kind) => kind !== "device" && kind !== "eventfd";
const int = (value: number) => words(value);

for (const release of RELEASES) {
  for (const kind of KINDS) {
    Deno.test(`ioctls of the VFS on a descriptor of the kind ${kind} (vfio.ioctl.vfs, ${release})`, () => {
      const { rig, fd } = opened(kind, release);
      const call = (request: number, arg: Uint8Array | number = 0, effect = false): Outcome =>
        rig.ioctl(fd, request, arg, { effect });
      assertEquals([call(FIOCLEX), call(FIONCLEX), call(FIOCLEX, int(5))], [0, 0, 0]);
      assertEquals([call(FIONBIO), call(FIONBIO, int(1).slice(0, 3))], ["EFAULT", "EFAULT"]);
      assertEquals([call(FIOASYNC), call(FIOASYNC, int(0)), call(FIOASYNC, int(1))], ["EFAULT", 0, "ENOTTY"]);
      const size = int(0);
      assertEquals([call(FIGETBSZ), call(FIGETBSZ, size), size.toHex()], ["EFAULT", 0, "00100000"]);
      assertEquals([call(FIEMAP), call(FIFREEZE), call(FITHAW)], ["EOPNOTSUPP", "EOPNOTSUPP", "EINVAL"]);
      assertEquals([call(FIOQSIZE), call(GETFSSYSFSPATH)], ["ENOTTY", "ENOTTY"]);
      assertEquals([call(FICLONE), call(FICLONE, 99)], ["EBADF", "EBADF"]);
      const eventfd = rig.process.eventfd();
      assertEquals([call(FICLONE, fd), call(FICLONE, eventfd)], [
        "EINVAL",
        isNode(kind) ? "EXDEV" : "EINVAL",
      ]);
      const uuid = new Uint8Array(17);
      assertEquals(call(GETFSUUID, uuid), isNode(kind) ? 0 : "ENOTTY");
      assertEquals(uuid[0], isNode(kind) ? 16 : 0);
      if (isNode(kind)) assertEquals([call(GETFSUUID), call(GETFSUUID, uuid.slice(1))], ["EFAULT", "EFAULT"]);
      assertEquals(rig.call(() => rig.process.ioctl(99, FIOCLEX)), "EBADF");
    });

    Deno.test(`FIONBIO and F_GETFL of a descriptor of the kind ${kind} (vfio.ioctl.vfs, vfio.rw.mode, ${release})`, () => {
      const { rig, fd } = opened(kind, release);
      const fresh = kind === "eventfd" ? RDWR | NONBLOCK : kind === "device" ? RDWR : RDWR | LARGEFILE;
      assertEquals(rig.process.getfl(fd), fresh);
      rig.process.ioctl(fd, FIONBIO, int(7));
      assertEquals(rig.process.getfl(fd), fresh | NONBLOCK);
      rig.process.ioctl(fd, FIONBIO, int(0));
      assertEquals(rig.process.getfl(fd), fresh & ~NONBLOCK);
      assertEquals(rig.host.fork().functions[0]!.guest.kernel.process.getfl(fd), fresh & ~NONBLOCK);
      assertEquals(rig.call(() => rig.process.getfl(99)), "EBADF");
    });

    Deno.test(`mmap, fsync and ftruncate of a descriptor of the kind ${kind} (vfio.mmap.checks, vfio.rw.mode, ${release})`, () => {
      const { rig, fd } = opened(kind, release);
      const map = (length: bigint, offset: bigint, how = {}) =>
        rig.call(() => rig.process.mmap(fd, length, offset, how));
      const refused = kind === "iommufd"
        ? "ENXIO"
        : kind.endsWith("device") || kind.endsWith("cdev")
        ? "EINVAL"
        : "ENODEV";
      const end = 2n ** 64n;
      assertEquals([map(4096n, end - 4096n), map(1n, end - 4096n)], ["EOVERFLOW", "EOVERFLOW"]);
      assertEquals([map(4096n, end - 8192n), map(4097n, end - 8192n)], [refused, "EOVERFLOW"]);
      assertEquals([map(0n, end - 4096n), map(0n, 0n)], ["EINVAL", "EINVAL"]);
      assertEquals(map(4096n, 0n, { write: false }), refused);
      assertEquals(map(4096n, 0n, { shared: false }), kind === "iommufd" ? "EINVAL" : refused);
      assertEquals(rig.call(() => rig.process.fsync(fd)), "EINVAL");
      assertEquals([0n, 4096n, -1n].map((length) => rig.call(() => rig.process.ftruncate(fd, length))), [
        ...["EINVAL", "EINVAL", "EINVAL"],
      ]);
    });
  }

  Deno.test(`fsync and ftruncate of a bad descriptor; a negative length comes first (${release})`, () => {
    const { process } = new Rig(choices(release));
    const rig = new Rig(choices(release));
    assertEquals(rig.call(() => process.fsync(99)), "EBADF");
    assertEquals([0, -1].map((length) => rig.call(() => process.ftruncate(99, length))), ["EBADF", "EINVAL"]);
  });

  Deno.test(`pread and pwrite of what has positions and no data: EINVAL, count 0 and empty vectors too (vfio.rw.others, ${release})`, () => {
    for (const kind of ["container", "group", "iommufd"] as const) {
      const { rig, fd } = opened(kind, release);
      const { process } = rig;
      const bytes = new Uint8Array(8);
      const calls = [
        ...[0, 8].flatMap((count) => [
          () => process.pread(fd, bytes, count, 0),
          () => process.pwrite(fd, bytes, count, 0),
          () => process.read(fd, bytes, count),
          () => process.write(fd, bytes, count),
        ]),
        ...[[], [bytes]].flatMap((segments) => [
          () => process.preadv(fd, segments, 0),
          () => process.pwritev(fd, segments, 0),
          () => process.readv(fd, segments),
          () => process.writev(fd, segments),
        ]),
      ];
      assertEquals(calls.map((call) => rig.call(call)), calls.map(() => "EINVAL"), kind);
    }
  });

  Deno.test(`a device that is open for reading or for writing only (vfio.rw.mode, ${release})`, () => {
    const through = (mode: number) => {
      const rig = new Rig(choices(release));
      const { process } = rig;
      const iommufd = process.open("/dev/iommu", mode);
      const fd = process.open("/dev/vfio/devices/vfio0", mode);
      rig.device = fd;
      // ioctls work whatever the mode.
      assertEquals(rig.call(() => process.ioctl(fd, 0x3b76, words(24, 0, iommufd, 0, 0n))), 0);
      const map = (of: number, write: boolean, shared: boolean) =>
        rig.call(() => process.mmap(of, 4096, 0, { write, shared }));
      const bytes = new Uint8Array(4);
      return {
        flags: process.getfl(fd),
        read: rig.pread(region(7), 4),
        write: rig.pwrite(region(7) + 4, 2, { buffer: words(6) }),
        empty: [rig.pread(region(2), 0), rig.pwrite(region(2), 0)],
        vectors: [() => process.preadv(fd, [bytes], region(7)), () => process.pwritev(fd, [], region(7))]
          .map((call) => rig.call(call)),
        device: [map(fd, true, true), map(fd, false, true), map(fd, true, false), map(fd, false, false)],
        iommufd: [map(iommufd, true, true), map(iommufd, false, true), map(iommufd, true, false)],
      };
    };
    assertEquals(through(RDONLY), {
      flags: LARGEFILE | RDONLY,
      read: 4,
      write: "EBADF",
      empty: [0, "EBADF"],
      vectors: [4, "EBADF"],
      device: ["EACCES", "EINVAL", "EINVAL", "EINVAL"],
      iommufd: ["EACCES", "EINVAL", "EINVAL"],
    });
    assertEquals(through(WRONLY), {
      flags: LARGEFILE | WRONLY,
      read: "EBADF",
      write: 2,
      empty: ["EBADF", 0],
      vectors: ["EBADF", 0],
      device: ["EACCES", "EACCES", "EACCES", "EACCES"],
      iommufd: ["EACCES", "EACCES", "EACCES"],
    });
    assertEquals(through(RDWR).iommufd, ["ENXIO", "ENXIO", "EINVAL"]);
  });

  Deno.test(`containers and groups that are open for reading or writing only do all their ioctls (vfio.rw.mode, ${release})`, () => {
    for (const mode of [RDONLY, WRONLY]) {
      const rig = new Rig(choices(release));
      const { process } = rig;
      rig.container = process.open("/dev/vfio/vfio", mode);
      rig.group = process.open("/dev/vfio/0", mode);
      process.ioctl(rig.group, 0x3b68, words(rig.container));
      process.ioctl(rig.container, 0x3b66, 3);
      rig.device = rig.deviceFd();
      assertEquals(process.getfl(rig.device), RDWR, "the kernel opens the device itself, for both");
      assertEquals([rig.pread(region(7), 4), rig.pwrite(region(7) + 4, 2)], [4, 2]);
      assertEquals(
        rig.call(() => process.mmap(rig.container, 4096, 0, { write: false, shared: false })),
        mode === WRONLY ? "EACCES" : "ENODEV",
      );
    }
  });

  Deno.test(`an eventfd without O_NONBLOCK would wait (${release})`, () => {
    const { rig, fd } = opened("eventfd", release);
    const { process } = rig;
    const bytes = new Uint8Array(8);
    const hangs = (act: () => number) => {
      try {
        return act();
      } catch (error) {
        return error instanceof WouldHangError ? "hangs" : error;
      }
    };
    process.ioctl(fd, FIONBIO, int(0));
    assertEquals(hangs(() => process.read(fd, bytes, 8)), "hangs");
    assertEquals([
      hangs(() => process.write(fd, words(2n ** 64n - 2n), 8)),
      hangs(() => process.write(fd, words(1n), 8)),
    ], [
      8,
      "hangs",
    ]);
    assertEquals([hangs(() => process.read(fd, bytes, 8)), u64(bytes, 0)], [8, 2n ** 64n - 2n]);
  });
}
