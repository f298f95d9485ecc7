/* A user-space driver of an ISM function, in C and with nothing but the kernel's headers. It opens the function through
 * its group or its character device, registers SBA, IEQ and a DMB, tells its peer the DMB's token by an event, stores
 * 10000 bytes into the peer's DMB with a signal, sleeps until the peer has done the same, and looks at what came. When
 * the function reports an error it recovers and begins again. SPDX-License-Identifier: MIT
 *
 *   cc -O2 -Wall -o ism ism.c
 *   ism exec -- ./ism [--cdev] 0001:00:00.0 [GID of the peer; without it the function is its own]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <linux/vfio_zdev.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* What must work, or there is nothing to do; and what an error of the function makes fail, which recovery is for. */
#define CHECK(call) check((call), #call)
#define TRY(call) do { if ((call) < 0) return -1; } while (0)
static long check(long result, const char *what)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "%.60s: %s\n", what, strerror(errno));
	exit(1);
}

enum { PAGE = 4096, DMB_BYTES = 65536, DMB_INDEX = 32, DATA_BYTES = 10000, AT = 104, TOKEN_EVENT = 42, TRIES = 1000 };
enum { CANNOT_WORK = 77 }; /* exit code: this machine or kernel is not made for ISM */
enum { REG_SBA = 1, REG_IEQ = 2, READ_GID = 3, REG_DMB = 0x0a, UNREG_DMB = 0x0b, SIGNAL_IEQ = 0x0e,
       UNREG_SBA = 0x11, UNREG_IEQ = 0x12 };

/* Younger than the headers of many systems: structs and numbers of iommufd and the character device, feature 13. */
enum { DEVICE_BIND_IOMMUFD = 0x3b76, DEVICE_ATTACH_IOMMUFD_PT, IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85 };
struct bind { uint32_t argsz, flags; int32_t iommufd; uint32_t out_devid; };
struct attach { uint32_t argsz, flags, pt_id; };
struct alloc { uint32_t size, flags, out_ioas_id; };
struct map { uint32_t size, flags, ioas_id, reserved; uint64_t user_va, length, iova; };
enum { FIXED_IOVA_WRITEABLE_READABLE = 7, FEATURE_GET_ZPCI_ERROR = 1 << 16 | 13, ERROR_BYTES = 32 };

/* Everything that one open function needs. DMA memory is one piece: DMB, SBA, IEQ. */
static struct {
	int device, msi, err; /* err is -1 on kernels that recover by themselves */
	uint64_t bar0, bar0_reach, bar2, config, iova, max_store;
	uint8_t *dmb;
	volatile uint8_t *sba, *ieq;
	int last_event;
	uint16_t signalled;  /* element mask of our DMB's signals */
	uint64_t peer_token; /* what the peer's event told */
} ism;

static int open_group(const char *address)
{
	char path[128], target[128];
	struct vfio_group_status status = { .argsz = sizeof(status) };

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	target[CHECK(readlink(path, target, sizeof(target) - 1))] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	int group = CHECK(open(path, O_RDWR | O_CLOEXEC));
	int container = CHECK(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	CHECK(ioctl(group, VFIO_GROUP_GET_STATUS, &status));
	CHECK(status.flags & VFIO_GROUP_FLAGS_VIABLE ? 0 : -1);
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	ism.device = CHECK(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address));
	return container;
}

static int open_cdev(const char *address, uint32_t *ioas)
{
	char path[128], node[300] = "";
	struct alloc alloc = { .size = sizeof(alloc) };

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	DIR *directory = opendir(path);
	CHECK(directory ? 0 : -1);
	for (struct dirent *entry; (entry = readdir(directory));)
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(node, sizeof(node), "/dev/vfio/devices/%s", entry->d_name);
	closedir(directory);
	ism.device = CHECK(open(node, O_RDWR | O_CLOEXEC));
	int iommufd = CHECK(open("/dev/iommu", O_RDWR | O_CLOEXEC));
	struct bind bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	CHECK(ioctl(ism.device, DEVICE_BIND_IOMMUFD, &bind));
	CHECK(ioctl(iommufd, IOAS_ALLOC, &alloc));
	struct attach attach = { .argsz = sizeof(attach), .pt_id = *ioas = alloc.out_ioas_id };
	CHECK(ioctl(ism.device, DEVICE_ATTACH_IOMMUFD_PT, &attach));
	return iommufd;
}

/* Positions of the regions, DMA addresses and the store-block limit: as the kernel says, never as one knows. */
static void read_limits(void)
{
	uint8_t buffer[1024] __attribute__((aligned(8))) = { 0 };
	struct vfio_device_info *info = (void *)buffer;
	struct vfio_region_info bar0 = { .index = VFIO_PCI_BAR0_REGION_INDEX }, bar2 = { .index = VFIO_PCI_BAR2_REGION_INDEX },
				config = { .index = VFIO_PCI_CONFIG_REGION_INDEX }, *regions[] = { &bar0, &bar2, &config };

	info->argsz = sizeof(buffer);
	ism.iova = UINT64_MAX;
	CHECK(ioctl(ism.device, VFIO_DEVICE_GET_INFO, info));
	for (uint32_t at = info->flags & VFIO_DEVICE_FLAGS_CAPS ? info->cap_offset : 0; at;) {
		struct vfio_info_cap_header *header = (void *)(buffer + at);
		if (header->id == VFIO_DEVICE_INFO_CAP_ZPCI_BASE)
			ism.iova = ((struct vfio_device_info_cap_zpci_base *)header)->start_dma;
		if (header->id == VFIO_DEVICE_INFO_CAP_ZPCI_GROUP && header->version >= 2)
			ism.max_store = ((struct vfio_device_info_cap_zpci_group *)header)->imaxstbl;
		at = header->next;
	}
	CHECK(ism.iova != UINT64_MAX && ism.max_store ? 0 : (errno = ENOTSUP, -1));
	/* A DMB must not lie across a 1 MiB line: aligned to its size, it does not. */
	ism.iova = (ism.iova + DMB_BYTES - 1) / DMB_BYTES * DMB_BYTES;
	for (int i = 0; i < 3; i++) {
		regions[i]->argsz = sizeof(bar0);
		CHECK(ioctl(ism.device, VFIO_DEVICE_GET_REGION_INFO, regions[i]));
	}
	ism.bar0 = bar0.offset, ism.bar2 = bar2.offset, ism.config = config.offset;
	/* Kernels that place regions 2^40 bytes apart put others over BAR 0: no more of it than that can be reached. */
	ism.bar0_reach = bar0.size;
	for (int i = 1; i < 3; i++)
		if (regions[i]->offset > bar0.offset && regions[i]->offset - bar0.offset < ism.bar0_reach)
			ism.bar0_reach = regions[i]->offset - bar0.offset;
}

/* SBA, IEQ and DMB as one piece of memory that the device sees at ism.iova. */
static void map_dma(int iommu, uint32_t ioas)
{
	uint64_t size = DMB_BYTES + 2 * PAGE;

	ism.dmb = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(ism.dmb == MAP_FAILED ? -1 : 0);
	ism.sba = ism.dmb + DMB_BYTES;
	ism.ieq = ism.sba + PAGE;
	if (ioas) {
		struct map map = { .size = sizeof(map), .flags = FIXED_IOVA_WRITEABLE_READABLE, .ioas_id = ioas,
			.user_va = (uintptr_t)ism.dmb, .length = size, .iova = ism.iova };
		CHECK(ioctl(iommu, IOAS_MAP, &map));
	} else {
		struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .vaddr = (uintptr_t)ism.dmb, .iova = ism.iova,
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, .size = size };
		CHECK(ioctl(iommu, VFIO_IOMMU_MAP_DMA, &map));
	}
}

/* An eventfd for an interrupt; -1 where there is no such interrupt. */
static int watch(uint32_t index)
{
	uint8_t bytes[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set *set = (void *)bytes;
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(ism.device, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 || !info.count)
		return -1;
	int event = CHECK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	*set = (struct vfio_irq_set){ .argsz = sizeof(bytes), .index = index, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER };
	memcpy(set->data, &event, 4);
	CHECK(ioctl(ism.device, VFIO_DEVICE_SET_IRQS, set));
	return event;
}

/* A command: payload first, then the header, which starts it; then the answer. Everything is big-endian. */
static int command(uint32_t code, const uint64_t *payload, int words, uint64_t *value)
{
	uint64_t bytes[8], answer[2] = { htobe64(0xffff0000), 0 }; /* a return code that no device gives */
	uint64_t header = htobe64((uint64_t)code << 32 | (8 + 8 * words));

	for (int i = 0; i < words; i++)
		bytes[i] = htobe64(payload[i]);
	if (words)
		TRY(pwrite(ism.device, bytes, 8 * words, ism.bar2 + 8));
	TRY(pwrite(ism.device, &header, 8, ism.bar2));
	if (pread(ism.device, answer, 16, ism.bar2) != 16)
		return -1;
	uint16_t ret = be64toh(answer[0]) >> 16;
	if (ret) {
		fprintf(stderr, "command 0x%x answered 0x%04x\n", code, ret);
		errno = EREMOTEIO;
		return -1;
	}
	if (value)
		*value = be64toh(answer[1]);
	return 0;
}

/* Stores into a DMB, a block at a time: none crosses 4 KiB or is over the limit, the last one signals. */
static int move(uint64_t token, uint32_t offset, const uint8_t *data, size_t length)
{
	for (size_t done = 0, block; done < length; done += block) {
		size_t line = PAGE - (offset + done) % PAGE;
		block = length - done;
		block = block > line ? line : block;
		block = block > ism.max_store ? ism.max_store : block;
		uint64_t signal = done + block == length ? 1ull << 23 : 0;
		if (pwrite(ism.device, data + done, block, ism.bar0 + (token | signal | (offset + done))) != (ssize_t)block)
			return -1;
	}
	return 0;
}

/* Takes bits away from a byte that the device sets bits of meanwhile. */
static uint8_t take(volatile uint8_t *byte, uint8_t bits)
{
	return atomic_fetch_and((volatile _Atomic uint8_t *)byte, (uint8_t)~bits) & bits;
}

/* What an interrupt means: summary first, so that no signal is lost; then DMB bits with their masks, then events. */
static void walk(void)
{
	take(&ism.sba[0], 0x80);
	for (int index = DMB_INDEX; index < 1920; index++)
		if (take(&ism.sba[4 + index / 8], 0x80 >> index % 8))
			ism.signalled |= take(&ism.sba[256 + 2 * index], 0xff) << 8 | take(&ism.sba[257 + 2 * index], 0xff);
	if (!take(&ism.sba[0], 0x40))
		return;
	while (ism.last_event + 1 != (int)be64toh(*(volatile uint64_t *)ism.ieq)) {
		ism.last_event = (ism.last_event + 1) % 15;
		volatile uint64_t *entry = (volatile uint64_t *)(ism.ieq + 32 + 32 * ism.last_event);
		if (be64toh(entry[0]) == (2ull << 32 | TOKEN_EVENT))
			ism.peer_token = be64toh(entry[3]);
	}
}

/* Sleeps until an interrupt or for some time, and handles what came. -1: the function reports an error. */
static int wait_interrupt(int milliseconds)
{
	struct pollfd sleep[] = { { .fd = ism.msi, .events = POLLIN }, { .fd = ism.err, .events = POLLIN } };
	uint64_t count;

	CHECK(poll(sleep, 2, milliseconds));
	if (sleep[1].revents)
		return errno = EIO, -1;
	if (sleep[0].revents && read(ism.msi, &count, 8) == 8)
		walk();
	return 0;
}

/* Swaps tokens with the peer, stores into its DMB, waits for its store into ours. */
static int exchange(uint64_t peer, uint64_t token)
{
	uint8_t data[DATA_BYTES];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + i / 256;
	/* An event to a peer that is not there yet is lost: again until its own has come, and once more for it to have. */
	for (int tries = 0, told = 0; !told; tries++) {
		if (tries == TRIES)
			return errno = ETIMEDOUT, -1;
		told = ism.peer_token != 0;
		TRY(command(SIGNAL_IEQ, (uint64_t[]){ peer, 1ull << 32 | TOKEN_EVENT, token }, 3, NULL));
		TRY(told ? 0 : wait_interrupt(20));
	}
	TRY(move(ism.peer_token, AT, data, sizeof(data)));
	for (int tries = 0; !ism.signalled && tries < TRIES; tries++)
		TRY(wait_interrupt(20));
	if (memcmp(ism.dmb + AT, data, sizeof(data)))
		return errno = EBADMSG, -1;
	printf("elements 0x%04x, data arrived\n", ism.signalled);
	return 0;
}

/* Registers everything, talks to the peer, takes it back. -1: something failed, and recovery may help. */
static int session(uint64_t peer)
{
	uint64_t token, own;

	memset(ism.dmb, 0, DMB_BYTES + 2 * PAGE);
	ism.last_event = -1;
	ism.peer_token = ism.signalled = 0;
	TRY(command(REG_SBA, (uint64_t[]){ ism.iova + DMB_BYTES }, 1, NULL));
	TRY(command(REG_IEQ, (uint64_t[]){ ism.iova + DMB_BYTES + PAGE, 512 }, 2, NULL));
	TRY(command(READ_GID, NULL, 0, &own));
	peer = peer ? peer : own;
	TRY(command(REG_DMB, (uint64_t[]){ ism.iova, (uint64_t)DMB_BYTES << 32 | DMB_INDEX, 0, peer }, 4, &token));
	printf("GID 0x%llx, store blocks up to %llu bytes\n", (unsigned long long)own, (unsigned long long)ism.max_store);
	int reachable = token + DMB_BYTES <= ism.bar0_reach;
	TRY(reachable ? exchange(peer, token) : 0);
	TRY(command(UNREG_DMB, (uint64_t[]){ token }, 1, NULL));
	TRY(command(UNREG_IEQ, NULL, 0, NULL));
	TRY(command(UNREG_SBA, NULL, 0, NULL));
	return reachable ? 0 : (errno = EOVERFLOW, -1);
}

/* Brings the function to life again: what happened, a reset, bus master. Mappings and eventfds are still there. */
static void recover(void)
{
	uint8_t block[ERROR_BYTES], bytes[sizeof(struct vfio_device_feature) + 8];
	struct vfio_device_feature *feature = (void *)bytes;
	uint64_t data = (uintptr_t)block, count;

	*feature = (struct vfio_device_feature){ .argsz = sizeof(bytes), .flags = FEATURE_GET_ZPCI_ERROR };
	memcpy(feature->data, &data, 8);
	while (ioctl(ism.device, VFIO_DEVICE_FEATURE, feature) == 0) {
		int code = block[30] << 8 | block[31];
		fprintf(stderr, "error event 0x%04x\n", code);
		CHECK(code == 0x3b || code == 0x40 ? (errno = ENODEV, -1) : 0);
	}
	CHECK(errno == ENOMSG || errno == ENOTTY ? 0 : -1);
	if (ism.err >= 0 && read(ism.err, &count, 8) < 0)
		CHECK(errno == EAGAIN ? 0 : -1);
	/* The kernel holds its locks for a moment: EAGAIN, then EIO. A condition code (1, 3) is no success, either. */
	for (int tries = 0; ioctl(ism.device, VFIO_DEVICE_RESET); tries++) {
		CHECK(tries == TRIES || (errno != EAGAIN && errno != EIO) ? -1 : 0);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	int cdev = argc > 1 && !strcmp(argv[1], "--cdev");
	const char *address = argc > 1 + cdev ? argv[1 + cdev] : "0001:00:00.0";
	uint64_t peer = argc > 2 + cdev ? strtoull(argv[2 + cdev], NULL, 0) : 0;
	uint16_t memory_and_master = htole16(6);
	uint32_t ioas = 0;

	int iommu = cdev ? open_cdev(address, &ioas) : open_group(address);
	read_limits();
	ism.msi = watch(VFIO_PCI_MSI_IRQ_INDEX);
	ism.err = watch(VFIO_PCI_ERR_IRQ_INDEX);
	map_dma(iommu, ioas);
	for (int tries = 0;; tries++) {
		CHECK(pwrite(ism.device, &memory_and_master, 2, ism.config + 4));
		if (session(peer) == 0)
			return 0;
		if (errno == ENXIO || errno == EOVERFLOW) {
			fprintf(stderr, errno == ENXIO ? "the machine refuses a store block of 8 bytes, which starts every command\n"
						       : "other regions lie over BAR 0, and no DMB can be reached\n");
			return CANNOT_WORK;
		}
		CHECK(tries == 3 ? -1 : 0);
		recover();
	}
}
