/* Reads until ism has gone, then says what the calls are answered with. */
#include "ism.h"

int main(void)
{
	uint64_t value;

	open_function();
	puts("open");
	fflush(stdout);
	while (pread(device, &value, 8, BAR2) == 8)
		;
	printf("%s\n", strerror(errno));
	return 0;
}
