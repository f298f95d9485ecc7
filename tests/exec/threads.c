/* Threads that store and read at the same time, each its own part of the DMB: ./threads THREADS COUNT. */
#include "ism.h"
#include <pthread.h>

static long count;

static void *work(void *argument)
{
	long id = (long)argument, wrong = 0;

	for (long i = 0; i < count; i++) {
		uint64_t block[8], back;
		for (int k = 0; k < 8; k++)
			block[k] = id << 32 | i;
		wrong += pwrite(device, block, sizeof(block), token | (id * 4096)) != sizeof(block);
		wrong += memcmp(block, (void *)(memory + 4096 + id * 4096), sizeof(block)) != 0;
		wrong += pread(device, &back, 4, CONFIG) != 4 || (uint32_t)back != 0x04ed1014;
		int fd = dup(device);
		wrong += fd < 0 || pread(fd, &back, 4, CONFIG) != 4;
		close(fd);
	}
	return (void *)wrong;
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 4, wrong = 0;
	pthread_t ids[16];

	count = argc > 2 ? atol(argv[2]) : 100;
	open_function();
	for (long i = 0; i < threads; i++)
		pthread_create(&ids[i], NULL, work, (void *)i);
	for (long i = 0; i < threads; i++) {
		void *result;
		pthread_join(ids[i], &result);
		wrong += (long)result;
	}
	printf("wrong %ld\n", wrong);
	return 0;
}
