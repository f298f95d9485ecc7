/* Carries out system calls that lines of standard input name, one a line, and prints what came of each: the result or
 * the negative error number, then the bytes that it gave. tests/support/call_lines.ts writes the lines and carries out
 * the same ones in the simulated process.
 *
 *   open PATH | readlink PATH | eventfd | close F | dup F | dup2 F F | lseek F | mmap F LENGTH OFFSET
 *   pread F COUNT POSITION ROOM | pwrite F COUNT POSITION HEX | read F COUNT ROOM | write F COUNT HEX
 *   preadv F POSITION COUNT,COUNT… | pwritev F POSITION HEX,HEX… | readv F COUNT,… | writev F HEX,…
 *   ioctl F REQUEST VALUE | ioctl F REQUEST x HEX [fOFFSET=F] [aOFFSET=ARENA]
 *   memory OFFSET COUNT | set OFFSET HEX
 *
 * F is `$N`, the result of line N, or a number. ROOM bytes of a buffer can be reached; memory behind them cannot. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, ARENA = 64 * PAGE, WINDOW = 16 * PAGE, MAX_LINES = 200000 };

static long results[MAX_LINES];
static uint8_t *arena, *window;

static long number(const char *word)
{
	return word[0] == '$' ? results[atoi(word + 1)] : (long)strtoull(word, NULL, 0);
}

/* A buffer of which `room` bytes can be reached. */
static uint8_t *buffer(size_t room)
{
	return window + WINDOW - room;
}

static size_t unhex(const char *text, uint8_t *into)
{
	size_t length = strcmp(text, "-") ? strlen(text) / 2 : 0;
	for (size_t i = 0; i < length; i++)
		sscanf(text + 2 * i, "%2hhx", &into[i]);
	return length;
}

static void print_hex(const uint8_t *bytes, long length)
{
	for (long i = 0; i < length; i++)
		printf("%02x", bytes[i]);
}

/* readv and its kin: the words behind `list` are segments, counts or bytes. */
static long vector(const char *op, int fd, long position, char *list)
{
	static uint8_t bytes[16][WINDOW];
	struct iovec iov[16];
	int count = 0, isWrite = strstr(op, "write") != NULL;
	long result;

	for (char *word = strtok(list, ","); word && count < 16; word = strtok(NULL, ","), count++) {
		size_t length = isWrite ? unhex(word, bytes[count]) : (size_t)number(word);
		iov[count] = (struct iovec){ bytes[count], length };
	}
	if (!strcmp(op, "preadv"))
		result = preadv(fd, iov, count, position);
	else if (!strcmp(op, "pwritev"))
		result = pwritev(fd, iov, count, position);
	else
		result = isWrite ? writev(fd, iov, count) : readv(fd, iov, count);
	result = result < 0 ? -errno : result;
	printf("%ld ", result);
	for (long i = 0, left = isWrite ? 0 : result; left > 0; left -= iov[i++].iov_len)
		print_hex(bytes[i], left < (long)iov[i].iov_len ? left : (long)iov[i].iov_len);
	return result;
}

/* ioctl with a struct: descriptors and addresses of the arena are put in before, and taken out before it is shown. */
static long ioctl_struct(int fd, long request, char **words, int count)
{
	static uint8_t bytes[WINDOW];
	size_t length = unhex(words[0], bytes);
	uint8_t *at = buffer(length);

	memcpy(at, bytes, length);
	for (int i = 1; i < count; i++) {
		size_t offset = atoi(words[i] + 1);
		char *value = strchr(words[i], '=') + 1;
		if (words[i][0] == 'f')
			*(int32_t *)(at + offset) = number(value);
		else
			*(uint64_t *)(at + offset) = (uintptr_t)arena + number(value);
	}
	long result = ioctl(fd, request, at);
	result = result < 0 ? -errno : result;
	for (int i = 1; i < count; i++)
		memset(at + atoi(words[i] + 1), 0, words[i][0] == 'f' ? 4 : 8);
	/* GET_DEVICE_FD answers a descriptor. */
	printf("%ld ", request == 0x3b6a && result > 0 ? 0 : result);
	print_hex(at, length);
	return result;
}

static long carry_out(char **word, int count)
{
	const char *op = word[0];
	int fd = count > 1 ? number(word[1]) : 0;
	static uint8_t bytes[WINDOW];
	long result;

#define IS(name) !strcmp(op, name)
	if (IS("preadv") || IS("pwritev"))
		return vector(op, fd, number(word[2]), word[3]);
	if (IS("readv") || IS("writev"))
		return vector(op, fd, 0, word[2]);
	if (IS("ioctl") && !strcmp(word[3], "x"))
		return ioctl_struct(fd, number(word[2]), word + 4, count - 4);
	if (IS("memory")) {
		printf("0 ");
		print_hex(arena + number(word[1]), number(word[2]));
		return 0;
	}
	uint8_t *shown = NULL;
	if (IS("open"))
		result = open(word[1], O_RDWR | O_CLOEXEC);
	else if (IS("readlink"))
		result = readlink(word[1], (char *)(shown = bytes), sizeof(bytes));
	else if (IS("eventfd"))
		result = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	else if (IS("close"))
		result = close(fd);
	else if (IS("dup"))
		result = dup(fd);
	else if (IS("dup2"))
		result = dup2(fd, number(word[2]));
	else if (IS("lseek"))
		result = lseek(fd, 0, SEEK_SET);
	else if (IS("mmap"))
		result = mmap(NULL, number(word[2]), PROT_READ, MAP_SHARED, fd, number(word[3])) == MAP_FAILED ? -1 : 0;
	else if (IS("pread"))
		result = pread(fd, shown = buffer(number(word[4])), number(word[2]), number(word[3]));
	else if (IS("read"))
		result = read(fd, shown = buffer(number(word[3])), number(word[2]));
	else if (IS("pwrite") || IS("write")) {
		size_t room = unhex(word[count - 1], bytes);
		uint8_t *at = memcpy(buffer(room), bytes, room);
		result = IS("write") ? write(fd, at, number(word[2])) : pwrite(fd, at, number(word[2]), number(word[3]));
	} else if (IS("set"))
		result = unhex(word[2], arena + number(word[1])) * 0;
	else
		result = ioctl(fd, number(word[2]), number(word[3]));
	result = result < 0 ? -errno : result;
	/* Numbers of descriptors are not the same everywhere. */
	int isDescriptor = IS("open") || IS("eventfd") || IS("dup") || IS("dup2");
	printf("%ld ", isDescriptor && result > 0 ? 0 : result);
	if (shown)
		print_hex(shown, result);
	return result;
}

int main(void)
{
	static char line[1 << 20];
	char *word[64];

	arena = mmap((void *)0x200000000000, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	window = mmap(NULL, WINDOW + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(window + WINDOW, PAGE, PROT_NONE);
	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	for (int i = 0; i < MAX_LINES && fgets(line, sizeof(line), stdin); i++) {
		int count = 0;
		for (char *at = strtok(line, " \n"); at && count < 64; at = strtok(NULL, " \n"))
			word[count++] = at;
		results[i] = carry_out(word, count);
		putchar('\n');
	}
	return 0;
}
