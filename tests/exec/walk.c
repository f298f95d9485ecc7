/* One thread stores with signals, one sends events, one sleeps on the eventfd and walks the SBA: ./walk COUNT. The walker
 * must be woken up for the last of them, however bits that are set and bits that are cleared meet in one byte. */
#include "ism.h"
#include <pthread.h>
#include <stdatomic.h>

static long count;
static uint64_t gid;
static _Atomic long stored, sent;

static uint8_t take(volatile uint8_t *byte, uint8_t bits)
{
	return atomic_fetch_and((volatile _Atomic uint8_t *)byte, (uint8_t)~bits) & bits;
}

static void *store(void *unused)
{
	for (uint64_t i = 1; i <= (uint64_t)count; i++) {
		NEED(pwrite(device, &i, 8, token | SIGNAL_FLAG) == 8);
		stored = i;
	}
	return unused;
}

static void *send_events(void *unused)
{
	for (long i = 1; i <= count / 4; i++) {
		command(0x0e, (uint64_t[]){ gid, 1ull << 32 | 1, i }, 3);
		sent = i;
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	uint64_t value = 0, info = 0;
	long woken = 0;

	count = argc > 1 ? atol(argv[1]) : 1000;
	open_function();
	volatile uint8_t *ieq = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)ieq,
		.iova = IOVA + 0x100000, .size = 4096 };
	NEED(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	command(2, (uint64_t[]){ IOVA + 0x100000, 512 }, 2);
	gid = command(3, NULL, 0);
	pthread_create(&threads[0], NULL, store, NULL);
	pthread_create(&threads[1], NULL, send_events, NULL);
	while (value < (uint64_t)count || info < (uint64_t)(count / 4)) {
		struct pollfd sleep = { event, POLLIN, 0 };
		if (poll(&sleep, 1, 5000) != 1) {
			printf("lost: stored %ld, seen %lu; sent %ld, seen %lu; SBA %02x\n", stored, value, sent, info, memory[0]);
			return 1;
		}
		count_of(event);
		woken++;
		take(&memory[0], 0x80);
		if (take(&memory[4 + 4], 0x80)) {
			take(&memory[256 + 64], 0xff);
			take(&memory[256 + 65], 0xff);
			value = *(volatile uint64_t *)(memory + 4096);
		}
		if (take(&memory[0], 0x40)) {
			uint64_t index = be64toh(*(volatile uint64_t *)ieq);
			if (index)
				info = be64toh(*(volatile uint64_t *)(ieq + 32 + 32 * (index - 1) + 24));
		}
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("seen all, woken up %s\n", woken > 0 ? "by interrupts" : "never");
	return 0;
}
