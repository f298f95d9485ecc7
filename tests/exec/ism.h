/* What the small programs of these tests share: a function opened through its group, with SBA and a DMB of 64 KiB that it
 * may write itself. */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAR2 (2ull << 48)
#define CONFIG (7ull << 48)
#define IOVA 0x100000000ull
#define SIGNAL_FLAG (1ull << 23)

static int container, group, device, event;
static uint64_t token;
static volatile uint8_t *memory; /* SBA, then the DMB at 4096 */

#define NEED(condition)                                                                                 \
	do {                                                                                            \
		if (!(condition)) {                                                                     \
			printf("%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno));    \
			exit(99);                                                                       \
		}                                                                                       \
	} while (0)

static inline uint64_t command(uint32_t code, const uint64_t *payload, int words)
{
	uint64_t bytes[8], answer[2], header = htobe64((uint64_t)code << 32 | (8 + 8 * words));

	for (int i = 0; i < words; i++)
		bytes[i] = htobe64(payload[i]);
	NEED(!words || pwrite(device, bytes, 8 * words, BAR2 + 8) == 8 * words);
	NEED(pwrite(device, &header, 8, BAR2) == 8);
	NEED(pread(device, answer, 16, BAR2) == 16);
	NEED((uint16_t)(be64toh(answer[0]) >> 16) == 0);
	return be64toh(answer[1]);
}

static inline void set_msi(int fd)
{
	uint8_t bytes[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set *set = (void *)bytes;

	*set = (struct vfio_irq_set){ .argsz = sizeof(bytes), .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER };
	memcpy(set->data, &fd, 4);
	NEED(!ioctl(device, VFIO_DEVICE_SET_IRQS, set));
}

/* Signals the MSI once, without the device: the loop-back of SET_IRQS. */
static inline int trigger(void)
{
	struct vfio_irq_set set = { .argsz = sizeof(set), .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER };
	return ioctl(device, VFIO_DEVICE_SET_IRQS, &set);
}

/* Opens a function; registers the SBA. The DMB that others may write is not registered yet. */
static inline void open_without_dmb(const char *address)
{
	uint16_t memory_and_master = 6;

	NEED((container = open("/dev/vfio/vfio", O_RDWR)) >= 0);
	NEED((group = open("/dev/vfio/0", O_RDWR)) >= 0);
	NEED(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	NEED(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	NEED((device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address)) >= 0);
	NEED(pwrite(device, &memory_and_master, 2, CONFIG + 4) == 2);
	NEED((event = eventfd(0, EFD_NONBLOCK)) >= 0);
	set_msi(event);
	memory = mmap(NULL, 17 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)memory,
		.iova = IOVA, .size = 17 * 4096 };
	NEED(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	command(1, (uint64_t[]){ IOVA }, 1);
}

/* Registers the DMB with index 32 for the function with a GID. */
static inline uint64_t register_dmb(uint64_t gid)
{
	return command(0x0a, (uint64_t[]){ IOVA + 4096, 65536ull << 32 | 32, 0, gid }, 4);
}

static inline void open_function(void)
{
	open_without_dmb("0001:00:00.0");
	token = register_dmb(command(3, NULL, 0));
}

static inline uint64_t count_of(int fd)
{
	uint64_t count = 0;
	return read(fd, &count, 8) == 8 ? count : 0;
}
