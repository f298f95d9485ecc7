/* Memory for DMA: what a process may lock, and what becomes of memory that it unmaps. ./memory */
#include "ism.h"
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static const char *map_pages(uint64_t iova, void *at, int pages)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)at,
		.iova = iova, .size = pages * 4096ull };
	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map) ? strerror(errno) : "works";
}

static void unmap_pages(uint64_t iova, int pages)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = pages * 4096ull };
	NEED(!ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap));
}

static void *pages(void *at, int count)
{
	return mmap(at, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

/* `shown` is 0 where nobody can look at the data. */
static void store_and_show(const char *what, uint64_t shown)
{
	uint64_t value = 1;

	memset((void *)memory, 0, 4096);
	memory[8] = memory[320] = 1;
	count_of(event);
	printf("%s: %zd", what, pwrite(device, &value, 8, token | SIGNAL_FLAG));
	printf(", bits %02x %02x %02x, interrupts %llu", memory[0], memory[8], memory[320],
		(unsigned long long)count_of(event));
	printf(shown ? ", data %lx\n" : "\n", shown ? *(volatile uint64_t *)(memory + 4096) : 0);
}

int main(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	uint64_t value = 0x1122334455667788;

	/* Without CAP_IPC_LOCK, with room for 48 pages. */
	NEED(!syscall(SYS_capget, &header, data));
	data[CAP_IPC_LOCK / 32].effective &= ~(1u << CAP_IPC_LOCK % 32);
	NEED(!syscall(SYS_capset, &header, data));
	NEED(!setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 48 * 4096, 48 * 4096 }));
	open_function(); /* takes 17 */
	char *more = pages(NULL, 64);
	printf("31 more: %s\n", map_pages(IOVA + 0x100000, more, 31));
	printf("and one: %s\n", map_pages(IOVA + 0x200000, more + 31 * 4096, 1));
	fflush(stdout);
	if (!fork()) {
		/* A child has a count of its own. */
		printf("in a child: %s\n", map_pages(IOVA + 0x300000, more, 48));
		unmap_pages(IOVA + 0x300000, 48);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	unmap_pages(IOVA + 0x100000, 31);
	printf("after unmap: %s\n", map_pages(IOVA + 0x400000, more, 31));
	unmap_pages(IOVA + 0x400000, 31);
	/* The limit comes before a page that is not there, and behind fewer pages than it allows. */
	munmap(more + 40 * 4096, 4096);
	printf("a hole behind the limit: %s\n", map_pages(IOVA + 0x100000, more, 48));
	munmap(more + 4 * 4096, 4096);
	printf("a hole before the limit: %s\n", map_pages(IOVA + 0x100000, more, 8));

	/* The DMB is memory + 4096. */
	void *dmb = (void *)(memory + 4096);
	munmap(dmb, 4096);
	printf("store into unmapped memory: %zd\n", pwrite(device, &value, 8, token));
	NEED(pages(dmb, 1) == dmb);
	printf("what is there now: %lx\n", *(volatile uint64_t *)dmb);
	printf("store into what is mapped anew: %zd\n", pwrite(device, &value, 8, token));
	printf("what is there now: %lx\n", *(volatile uint64_t *)dmb);

	/* A store that signals: each of its places takes what it can, and other bits of the bytes stay. */
	value = 1;
	store_and_show("all there", value);
	munmap(dmb, 4096);
	store_and_show("data unmapped", 0);
	NEED(pages(dmb, 1) == dmb);
	munmap((void *)memory, 4096);
	printf("signals unmapped: %zd", pwrite(device, &value, 8, token | SIGNAL_FLAG));
	printf(", data %lx\n", *(volatile uint64_t *)dmb);
	return 0;
}
