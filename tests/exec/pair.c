/* One of two programs on one host that talk through DMBs: ./pair ADDRESS SIDE FOLDER messages COUNT, or
 * ./pair ADDRESS SIDE FOLDER file PATH. They find each other by files in FOLDER. Side 0 begins: it sends a message and
 * waits for its echo, or sends the file through a ring of 60 KiB; side 1 answers, or writes what it gets to the file. */
#include "ism.h"
#include <stdatomic.h>
#include <time.h>

enum { RING = 15 * 4096, PATIENCE_MS = 30000 };

static const char *folder;
static int side;
static volatile uint8_t *dmb;

static void tell(const char *what, int of, uint64_t value)
{
	char path[512], aside[520];

	snprintf(path, sizeof(path), "%s/%s.%d", folder, what, of);
	snprintf(aside, sizeof(aside), "%s.part", path);
	FILE *file = fopen(aside, "w");
	NEED(file);
	fprintf(file, "%llx", (unsigned long long)value);
	NEED(!fclose(file));
	NEED(!rename(aside, path));
}

static uint64_t hear(const char *what, int of)
{
	char path[512];
	unsigned long long value;

	snprintf(path, sizeof(path), "%s/%s.%d", folder, what, of);
	for (int tries = 0; tries < PATIENCE_MS; tries++) {
		FILE *file = fopen(path, "r");
		if (file) {
			NEED(fscanf(file, "%llx", &value) == 1);
			fclose(file);
			return value;
		}
		usleep(1000);
	}
	NEED(!"the other side comes");
	return 0;
}

static uint8_t take(volatile uint8_t *byte, uint8_t bits)
{
	return atomic_fetch_and((volatile _Atomic uint8_t *)byte, (uint8_t)~bits) & bits;
}

/* The first 8 bytes of the own DMB, once they have changed. */
static uint64_t next(uint64_t before)
{
	for (;;) {
		uint64_t value = *(volatile uint64_t *)dmb;
		if (value != before)
			return value;
		struct pollfd sleep = { event, POLLIN, 0 };
		if (poll(&sleep, 1, PATIENCE_MS) != 1) {
			printf("side %d: no signal behind %lu, SBA %02x %02x\n", side, before, memory[0], memory[8]);
			exit(1);
		}
		count_of(event);
		take(&memory[0], 0x80);
		take(&memory[8], 0x80);
		take(&memory[256 + 64], 0xff);
	}
}

static void signal_to(uint64_t peer, uint64_t value)
{
	NEED(pwrite(device, &value, 8, peer | SIGNAL_FLAG) == 8);
}

static void messages(uint64_t peer, uint64_t count)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint64_t i = 1; i <= count; i++) {
		if (side == 0)
			signal_to(peer, i);
		uint64_t got = next(i - 1);
		if (got != i) {
			printf("side %d: %lu instead of %lu\n", side, got, i);
			exit(1);
		}
		if (side == 1)
			signal_to(peer, i);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (side == 0)
		fprintf(stderr, "%.0f messages a second\n",
			count / ((to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9));
	printf("side %d: %lu messages\n", side, count);
}

static void send_file(uint64_t peer, const char *path)
{
	static uint8_t chunk[4096];
	uint64_t produced = 0, consumed = 0;
	ssize_t length;
	int file = open(path, O_RDONLY);

	NEED(file >= 0);
	while ((length = read(file, chunk, sizeof(chunk))) > 0) {
		while (produced + length > consumed + RING)
			consumed = next(consumed);
		NEED(pwrite(device, chunk, length, peer + 4096 + produced % RING) == length);
		produced += length;
		if (produced % (4 * 4096) == 0)
			signal_to(peer, produced);
	}
	/* Bit 63: nothing comes behind it. */
	signal_to(peer, produced | 1ull << 63);
	while (consumed != produced)
		consumed = next(consumed);
	printf("side 0: %lu bytes\n", produced);
}

static void receive_file(uint64_t peer, const char *path)
{
	uint64_t produced = 0, consumed = 0;
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	NEED(file >= 0);
	while (!(produced >> 63) || consumed != (produced & ~(1ull << 63))) {
		produced = next(produced);
		for (uint64_t end = produced & ~(1ull << 63); consumed < end;) {
			uint64_t part = RING - consumed % RING;
			if (part > end - consumed)
				part = end - consumed;
			NEED(write(file, (uint8_t *)dmb + 4096 + consumed % RING, part) == (ssize_t)part);
			consumed += part;
		}
		signal_to(peer, consumed);
	}
	NEED(!close(file));
	printf("side 1: %lu bytes\n", consumed);
}

int main(int argc, char **argv)
{
	NEED(argc == 6);
	side = atoi(argv[2]);
	folder = argv[3];
	open_without_dmb(argv[1]);
	dmb = memory + 4096;
	tell("gid", side, command(3, NULL, 0));
	tell("token", side, register_dmb(hear("gid", !side)));
	uint64_t peer = hear("token", !side);
	if (!strcmp(argv[4], "messages"))
		messages(peer, strtoull(argv[5], NULL, 10));
	else if (side == 0)
		send_file(peer, argv[5]);
	else
		receive_file(peer, argv[5]);
	/* Who leaves first takes its DMB away: nobody does while the other still stores. */
	tell("done", side, 1);
	hear("done", !side);
	return 0;
}
