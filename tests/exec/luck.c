/* A driver that does one thing which only luck makes work, or none: what the audit of exec has to find. The argument
 * names the finding. The line of the call in question has a comment with its name. "forty" is a driver that knows from
 * elsewhere that regions are 2^40 bytes apart, and asks the function for its GID alone. */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <linux/vfio_zdev.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NEED(condition)                                                                              \
	do {                                                                                         \
		if (!(condition)) {                                                                  \
			printf("%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
			exit(99);                                                                    \
		}                                                                                    \
	} while (0)

enum { PAGE = 4096, DMB_BYTES = 65536, INDEX = 32 };

static const char *luck;
static int container, group, device, event, err = -1;
static uint64_t bar0, bar2, bar2_size, config, iova, gid, token;
static uint8_t *memory; /* DMB, SBA, IEQ */
static uint8_t block[32];

static int is(const char *name) { return !strcmp(luck, name); }

static uint64_t offset_of(uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	NEED(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	if (index == 2)
		bar2_size = info.size;
	return info.offset;
}

static uint64_t command(uint32_t code, const uint64_t *payload, int words)
{
	uint64_t bytes[8], answer[2], header = htobe64((uint64_t)code << 32 | (8 + 8 * words));

	for (int i = 0; i < words; i++)
		bytes[i] = htobe64(payload[i]);
	NEED(!words || pwrite(device, bytes, 8 * words, bar2 + 8) == 8 * words); /* position-not-asked */
	NEED(pwrite(device, &header, 8, bar2) == 8); /* left-registered response-not-read */
	NEED(pread(device, answer, 16, bar2) == 16);
	NEED((uint16_t)(be64toh(answer[0]) >> 16) == 0);
	return be64toh(answer[1]);
}

static int set_irq(uint32_t index, int fd)
{
	uint8_t bytes[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set *set = (void *)bytes;

	*set = (struct vfio_irq_set){ .argsz = sizeof(bytes), .index = index, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER };
	memcpy(set->data, &fd, 4);
	return ioctl(device, VFIO_DEVICE_SET_IRQS, set); /* no-err-eventfd */
}

static void read_limits(void)
{
	uint8_t buffer[1024] __attribute__((aligned(8))) = { 0 };
	struct vfio_device_info *info = (void *)buffer;

	info->argsz = is("limit-not-asked") || is("iova-not-asked") ? sizeof(*info) : sizeof(buffer);
	NEED(!ioctl(device, VFIO_DEVICE_GET_INFO, info));
	for (uint32_t at = info->argsz <= sizeof(buffer) ? info->cap_offset : 0; at;) {
		struct vfio_info_cap_header *header = (void *)(buffer + at);
		if (header->id == VFIO_DEVICE_INFO_CAP_ZPCI_BASE)
			iova = ((struct vfio_device_info_cap_zpci_base *)header)->start_dma;
		at = header->next;
	}
	if (is("limit-not-asked")) {
		struct vfio_iommu_type1_info *ranges = (void *)buffer;
		memset(buffer, 0, sizeof(buffer));
		ranges->argsz = sizeof(buffer);
		NEED(!ioctl(container, VFIO_IOMMU_GET_INFO, ranges));
		NEED(ranges->flags & VFIO_IOMMU_INFO_CAPS);
	}
	if (!iova)
		iova = 0x100000000;
}

static void start(void)
{
	uint16_t memory_and_master = htole16(6);

	NEED((container = open("/dev/vfio/vfio", O_RDWR)) >= 0);
	NEED((group = open("/dev/vfio/0", O_RDWR)) >= 0);
	NEED(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	NEED(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	NEED((device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0001:00:00.0")) >= 0);
	read_limits();
	bar0 = offset_of(0), config = offset_of(7);
	bar2 = is("position-not-asked") ? 2ull << 48 : offset_of(2);
	if (is("forty"))
		bar2 = 2ull << 40, config = 7ull << 40;
	NEED(pwrite(device, &memory_and_master, 2, config + 4) == 2);
	NEED((event = eventfd(0, EFD_NONBLOCK)) >= 0);
	NEED(!set_irq(VFIO_PCI_MSI_IRQ_INDEX, event));
	if (!is("no-err-eventfd")) {
		NEED((err = eventfd(0, EFD_NONBLOCK)) >= 0);
		NEED(!set_irq(VFIO_PCI_ERR_IRQ_INDEX, err));
	}
	memory = mmap(NULL, DMB_BYTES + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)memory,
		.iova = iova, .size = DMB_BYTES + 2 * PAGE };
	NEED(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map)); /* iova-not-asked */
}

static void enroll(void)
{
	command(1, (uint64_t[]){ iova + DMB_BYTES }, 1);
	gid = command(3, NULL, 0);
	token = command(0x0a, (uint64_t[]){ iova, (uint64_t)DMB_BYTES << 32 | INDEX, 0, gid }, 4);
}

/* Handles a signal, in the wrong order if that is what is asked for, and answers it in the middle. */
static void walk(void)
{
	uint64_t count, answer = 1;
	uint8_t *sba = memory + DMB_BYTES;

	NEED(pwrite(device, &answer, 8, bar0 + (token | 1 << 23)) == 8);
	NEED(read(event, &count, 8) == 8);
	if (!is("summary-cleared-late"))
		sba[0] &= 0x7f;
	sba[4 + INDEX / 8] &= ~(0x80 >> INDEX % 8);
	sba[256 + 2 * INDEX] = sba[257 + 2 * INDEX] = 0;
	NEED(pwrite(device, &answer, 8, bar0 + token) == 8); /* summary-cleared-late */
	sba[0] &= 0x7f;
}

static int feature(void)
{
	uint8_t bytes[sizeof(struct vfio_device_feature) + 8];
	struct vfio_device_feature *get = (void *)bytes;
	uint64_t address = (uintptr_t)block;

	*get = (struct vfio_device_feature){ .argsz = sizeof(bytes), .flags = 1 << 16 | 13 };
	memcpy(get->data, &address, 8);
	return ioctl(device, VFIO_DEVICE_FEATURE, get);
}

int main(int argc, char **argv)
{
	uint8_t data[300] = { 0 };
	uint64_t header = htobe64(3ull << 32 | 8);

	luck = argc > 1 ? argv[1] : "";
	start();
	if (is("forty"))
		return !command(3, NULL, 0);
	enroll();
	walk();
	if (is("store-crosses-line"))
		NEED(pwrite(device, data, 16, bar0 + token + PAGE - 8) < 0); /* store-crosses-line */
	if (is("bar-mapped"))
		NEED(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, bar2) == MAP_FAILED); /* bar-mapped */
	for (int i = 0; i < (is("limit-is-maxstbl") ? 4 : 3); i++)
		NEED(pwrite(device, data, 128, bar0 + token + 128 * i) == 128); /* limit-is-maxstbl */
	if (!is("iova-not-asked"))
		NEED(pwrite(device, data, 256, bar0 + token) == 256); /* limit-not-asked */
	if (is("result-not-checked")) {
		NEED(pread(device, data, 32, bar2 + bar2_size - 16) == 16);
		NEED(pread(device, data, 8, bar2 + bar2_size + 16) <= 0); /* result-not-checked */
	}
	if (is("response-not-read")) {
		NEED(pwrite(device, &header, 8, bar2) == 8);
		command(3, NULL, 0);
	}
	if (is("reset-not-retried") || is("errors-not-drained")) {
		NEED(pwrite(device, data, 8, bar0 + token + 8) < 0 && errno == EIO);
		while (!is("errors-not-drained") && feature() == 0)
			continue;
		while (ioctl(device, VFIO_DEVICE_RESET)) /* reset-not-retried errors-not-drained */
			if (is("reset-not-retried"))
				break;
		return 0;
	}
	if (is("left-registered"))
		return 0;
	command(0x0b, (uint64_t[]){ token }, 1);
	command(0x11, NULL, 0);
	return 0;
}
