/* A user-space driver of an ISM function, in C and with nothing but the kernel's headers. It opens the function through
 * its group or its character device, registers SBA, IEQ and a DMB that it may write itself, stores into the DMB with a
 * signal, sleeps until the interrupt comes, and walks what was signalled. SPDX-License-Identifier: MIT
 *
 *   cc -O2 -Wall -o ism ism.c
 *   ism exec -- ./ism 0001:00:00.0            through the group
 *   ism exec -- ./ism --cdev 0001:00:00.0     through the character device
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

#define CHECK(call) check((call), #call)
static long check(long result, const char *what)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "%.60s: %s\n", what, strerror(errno));
	exit(1);
}

enum { PAGE = 4096, DMB_BYTES = 65536, FIRST_INDEX = 32 };
enum { REG_SBA = 1, REG_IEQ = 2, READ_GID = 3, REG_DMB = 0x0a, UNREG_DMB = 0x0b, SIGNAL_IEQ = 0x0e,
       UNREG_SBA = 0x11, UNREG_IEQ = 0x12 };

/* iommufd and the character device are younger than the headers of many systems: their structs and numbers, here. */
enum { DEVICE_BIND_IOMMUFD = 0x3b76, DEVICE_ATTACH_IOMMUFD_PT, IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85 };
struct bind { uint32_t argsz, flags; int32_t iommufd; uint32_t out_devid; };
struct attach { uint32_t argsz, flags, pt_id; };
struct alloc { uint32_t size, flags, out_ioas_id; };
struct map { uint32_t size, flags, ioas_id, reserved; uint64_t user_va, length, iova; };
enum { FIXED_IOVA_WRITEABLE_READABLE = 7 };

/* Everything that one open function needs. */
static struct {
	int device, iommu, ioas; /* ioas is 0 for a type1 container */
	uint64_t bar0, bar2, config, iova, max_store;
	volatile uint8_t *sba, *ieq;
	uint8_t *dmb;
} ism;

/* DMA memory of `size` bytes; the device sees it at the next free address, which is returned. */
static uint64_t map_dma(void *memory, uint64_t size)
{
	uint64_t iova = ism.iova;

	ism.iova += size;
	if (ism.ioas) {
		struct map map = { .size = sizeof(map), .flags = FIXED_IOVA_WRITEABLE_READABLE, .ioas_id = ism.ioas,
			.user_va = (uintptr_t)memory, .length = size, .iova = iova };
		CHECK(ioctl(ism.iommu, IOAS_MAP, &map));
	} else {
		struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .vaddr = (uintptr_t)memory,
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, .iova = iova, .size = size };
		CHECK(ioctl(ism.iommu, VFIO_IOMMU_MAP_DMA, &map));
	}
	return iova;
}

static void *allocate(uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory == MAP_FAILED ? -1 : 0);
	return memory;
}

static void open_group(const char *address)
{
	char path[128], target[128];
	struct vfio_group_status status = { .argsz = sizeof(status) };

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	target[CHECK(readlink(path, target, sizeof(target) - 1))] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	int group = CHECK(open(path, O_RDWR | O_CLOEXEC));
	ism.iommu = CHECK(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	CHECK(ioctl(group, VFIO_GROUP_GET_STATUS, &status));
	CHECK(status.flags & VFIO_GROUP_FLAGS_VIABLE ? 0 : -1);
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &ism.iommu));
	CHECK(ioctl(ism.iommu, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	ism.device = CHECK(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address));
}

static void open_cdev(const char *address)
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
	ism.iommu = CHECK(open("/dev/iommu", O_RDWR | O_CLOEXEC));
	struct bind bind = { .argsz = sizeof(bind), .iommufd = ism.iommu };
	CHECK(ioctl(ism.device, DEVICE_BIND_IOMMUFD, &bind));
	CHECK(ioctl(ism.iommu, IOAS_ALLOC, &alloc));
	ism.ioas = alloc.out_ioas_id;
	struct attach attach = { .argsz = sizeof(attach), .pt_id = ism.ioas };
	CHECK(ioctl(ism.device, DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

/* Positions of the regions, DMA addresses and the store-block limit: as the kernel says, never as one knows. */
static void read_limits(void)
{
	uint8_t buffer[1024] __attribute__((aligned(8))) = { 0 };
	struct vfio_device_info *info = (void *)buffer;
	uint64_t *offsets[] = { &ism.bar0, &ism.bar2, &ism.config };
	const uint32_t indices[] = { VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX };

	info->argsz = sizeof(buffer);
	CHECK(ioctl(ism.device, VFIO_DEVICE_GET_INFO, info));
	for (uint32_t at = info->flags & VFIO_DEVICE_FLAGS_CAPS ? info->cap_offset : 0; at;) {
		struct vfio_info_cap_header *header = (void *)(buffer + at);
		if (header->id == VFIO_DEVICE_INFO_CAP_ZPCI_BASE)
			ism.iova = ((struct vfio_device_info_cap_zpci_base *)header)->start_dma;
		if (header->id == VFIO_DEVICE_INFO_CAP_ZPCI_GROUP && header->version >= 2)
			ism.max_store = ((struct vfio_device_info_cap_zpci_group *)header)->imaxstbl;
		at = header->next;
	}
	CHECK(ism.iova && ism.max_store ? 0 : (errno = ENOTSUP, -1));
	for (int i = 0; i < 3; i++) {
		struct vfio_region_info region = { .argsz = sizeof(region), .index = indices[i] };
		CHECK(ioctl(ism.device, VFIO_DEVICE_GET_REGION_INFO, &region));
		*offsets[i] = region.offset;
	}
}

/* A command: payload first, then the header, which starts it; then the answer. Everything is big-endian. */
static uint64_t command(uint32_t code, const uint64_t *payload, int words)
{
	uint64_t bytes[8], answer[2] = { htobe64(0xffff0000), 0 };
	uint64_t header = htobe64((uint64_t)code << 32 | (8 + 8 * words));

	for (int i = 0; i < words; i++)
		bytes[i] = htobe64(payload[i]);
	if (words)
		CHECK(pwrite(ism.device, bytes, 8 * words, ism.bar2 + 8));
	CHECK(pwrite(ism.device, &header, 8, ism.bar2));
	CHECK(pread(ism.device, answer, 16, ism.bar2));
	uint16_t ret = be64toh(answer[0]) >> 16;
	if (ret) {
		fprintf(stderr, "command 0x%x answered 0x%04x\n", code, ret);
		exit(1);
	}
	return be64toh(answer[1]);
}

/* Stores into a DMB, a block at a time: none crosses 4 KiB or is over the limit, the last one signals. */
static void move(uint64_t token, uint32_t offset, const void *data, size_t length)
{
	for (size_t done = 0; done < length;) {
		size_t block = length - done, line = PAGE - (offset + done) % PAGE;
		block = block > line ? line : block;
		block = block > ism.max_store ? ism.max_store : block;
		uint64_t signal = done + block == length ? 1ull << 23 : 0;
		CHECK(pwrite(ism.device, (const char *)data + done, block, ism.bar0 + (token | signal | (offset + done))));
		done += block;
	}
}

/* Takes bits away from a byte that the device sets bits of meanwhile. */
static uint8_t take(volatile uint8_t *byte, uint8_t bits)
{
	return atomic_fetch_and((volatile _Atomic uint8_t *)byte, (uint8_t)~bits) & bits;
}

/* What an interrupt means: summary first, so that no signal is lost; then DMB bits with their masks, then events. */
static void walk(void)
{
	static int last = -1;

	take(&ism.sba[0], 0x80);
	for (int index = FIRST_INDEX; index < 1920; index++) {
		if (!take(&ism.sba[4 + index / 8], 0x80 >> index % 8))
			continue;
		uint16_t mask = take(&ism.sba[256 + 2 * index], 0xff) << 8 | take(&ism.sba[257 + 2 * index], 0xff);
		printf("signal: DMB index %d, mask 0x%04x\n", index, mask);
	}
	if (!take(&ism.sba[0], 0x40))
		return;
	while (last + 1 != (int)be64toh(*(volatile uint64_t *)ism.ieq)) {
		last = (last + 1) % 15;
		volatile uint64_t *entry = (volatile uint64_t *)(ism.ieq + 32 + 32 * last);
		printf("event: code %u, info 0x%llx\n", (uint32_t)be64toh(entry[0]), (unsigned long long)be64toh(entry[3]));
	}
}

int main(int argc, char **argv)
{
	int cdev = argc > 1 && !strcmp(argv[1], "--cdev");
	const char *address = argc > 1 + cdev ? argv[1 + cdev] : "0001:00:00.0";
	uint8_t irq[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set *set = (void *)irq;
	uint16_t memory_and_master = htole16(6);

	(cdev ? open_cdev : open_group)(address);
	read_limits();
	CHECK(pwrite(ism.device, &memory_and_master, 2, ism.config + 4));
	int event = CHECK(eventfd(0, EFD_CLOEXEC));
	*set = (struct vfio_irq_set){ .argsz = sizeof(irq), .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER };
	memcpy(set->data, &event, 4);
	CHECK(ioctl(ism.device, VFIO_DEVICE_SET_IRQS, set));

	ism.sba = allocate(PAGE);
	ism.ieq = allocate(PAGE);
	ism.dmb = allocate(DMB_BYTES);
	command(REG_SBA, (uint64_t[]){ map_dma((void *)ism.sba, PAGE) }, 1);
	command(REG_IEQ, (uint64_t[]){ map_dma((void *)ism.ieq, PAGE), 512 }, 2);
	uint64_t gid = command(READ_GID, NULL, 0);
	uint64_t iova = map_dma(ism.dmb, DMB_BYTES);
	uint64_t token = command(REG_DMB, (uint64_t[]){ iova, (uint64_t)DMB_BYTES << 32 | FIRST_INDEX, 0, gid }, 4);
	printf("GID 0x%llx, store blocks up to %llu bytes\n", (unsigned long long)gid, (unsigned long long)ism.max_store);

	char data[10000];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + i / 256;
	move(token, 100, data, sizeof(data));
	command(SIGNAL_IEQ, (uint64_t[]){ gid, 1ull << 32 | 42, 0x1234 }, 3);
	struct pollfd sleep = { .fd = event, .events = POLLIN };
	CHECK(poll(&sleep, 1, 10000) == 1 ? 0 : (errno = ETIMEDOUT, -1));
	uint64_t count;
	CHECK(read(event, &count, 8));
	walk();
	int equal = !memcmp(ism.dmb + 100, data, sizeof(data));
	printf("data: %s\n", equal ? "arrived" : "differs");

	command(UNREG_DMB, (uint64_t[]){ token }, 1);
	command(UNREG_IEQ, NULL, 0);
	command(UNREG_SBA, NULL, 0);
	return !equal;
}
