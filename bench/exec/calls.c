/* Calls of a kind in a row, timed: ./calls KIND COUNT [TOKEN]. Prints microseconds per call. Stores go to the DMB that
 * TOKEN names, or to one of the program's own. KIND eventfds needs no device: two processes wake each other up. */
#define _GNU_SOURCE
#include <endian.h>
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int device;
static uint64_t position[2], token;
static char buffer[4096];

static void command(uint32_t code, uint64_t *payload, int words, uint64_t *answer)
{
	uint64_t header = htobe64((uint64_t)code << 32 | (8 + 8 * words));
	for (int i = 0; i < words; i++)
		payload[i] = htobe64(payload[i]);
	if (words && pwrite(device, payload, 8 * words, position[1] + 8) < 0)
		exit(3);
	if (pwrite(device, &header, 8, position[1]) != 8 || pread(device, answer, 16, position[1]) != 16)
		exit(4);
	if ((uint16_t)(be64toh(answer[0]) >> 16))
		exit(5);
	answer[1] = be64toh(answer[1]);
}

/* Opens the function through group 0 and registers a DMB that the function may write itself. */
static void setup(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/0", O_RDWR);
	char name[64] = { 0 };
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, 3))
		exit(2);
	if (readlink("/sys/kernel/iommu_groups/0/devices/0001:00:00.0", name, 63) < 0)
		exit(2);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, strrchr(name, '/') + 1);
	for (int i = 0; i < 2; i++) {
		struct vfio_region_info info = { .argsz = sizeof(info), .index = i * 2 };
		ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info);
		position[i] = info.offset;
	}
	uint16_t master = 6;
	uint64_t answer[2], iova = 0x100000000;
	if (pwrite(device, &master, 2, (7ull << 48) + 4) != 2)
		exit(2);
	char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)memory,
		.iova = iova, .size = 1 << 20 };
	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		exit(2);
	command(1, (uint64_t[]){ iova }, 1, answer);
	command(3, NULL, 0, answer);
	command(0x0a, (uint64_t[]){ iova + 4096, 65536ull << 32 | 32, 0, answer[1] }, 4, answer);
	token = answer[1];
}

/* Waits for an eventfd as drivers do: sleeps, then takes its count. */
static void take(int fd)
{
	struct pollfd sleep = { fd, POLLIN, 0 };
	uint64_t value;

	if (poll(&sleep, 1, -1) != 1 || read(fd, &value, 8) != 8)
		exit(7);
}

static void give(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, 8) != 8)
		exit(7);
}

/* Two processes that wake each other up, there and back, with nothing between them. */
static double eventfds(long count)
{
	int there = eventfd(0, 0), back = eventfd(0, 0);
	struct timespec start, end;
	pid_t child = fork();

	for (long i = 0; child == 0 && i < count; i++) {
		take(there);
		give(back);
	}
	if (child == 0)
		exit(0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (long i = 0; i < count; i++) {
		give(there);
		take(back);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	waitpid(child, NULL, 0);
	return ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / 1e3 / count;
}

int main(int argc, char **argv)
{
	const char *kind = argv[1];
	long count = argc > 2 ? atol(argv[2]) : 100000;
	struct timespec start, end;
	int native = !strcmp(kind, "getppid") || !strcmp(kind, "devnull");
	int null = open("/dev/null", O_RDWR);
	uint64_t to;

	if (!strcmp(kind, "eventfds"))
		return printf("%.3f\n", eventfds(count)) < 0;
	if (!native)
		setup();
	to = position[0] + (argc > 3 ? strtoull(argv[3], NULL, 0) : token);
	long failed = 0;
	/* A quarter of the calls comes first, untimed: by then the supervisor's code is compiled. */
	for (long i = -count / 4; i < count; i++) {
		if (i == 0)
			clock_gettime(CLOCK_MONOTONIC, &start);
		if (!strcmp(kind, "pread8"))
			failed += pread(device, buffer, 8, position[1]) < 0;
		else if (!strcmp(kind, "pwrite4k"))
			failed += pwrite(device, buffer, 4096, to) < 0;
		else if (!strcmp(kind, "getppid"))
			failed += syscall(SYS_getppid) < 0;
		else
			failed += pread(null, buffer, 8, 0) < 0;
	}
	if (failed)
		exit(6);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.3f\n", ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / 1e3 / count);
	return 0;
}
