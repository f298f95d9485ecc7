/* A parent that looks at files and a child that opens, stores and closes, until somebody kills one of them or ism is gone.
 * Prints both process numbers when both work. ./busy hold closes nothing any more from then on. */
#include "ism.h"
#include <signal.h>
#include <sys/prctl.h>

static void work(int ready, int hold)
{
	for (int round = 0;; round++) {
		uint64_t value = round;
		int copy;

		open_function();
		if (round == 1)
			close(ready);
		for (int i = 0; i < 20 || (hold && round > 0); i++) {
			NEED(pwrite(device, &value, 8, token | SIGNAL_FLAG) == 8);
			NEED((copy = dup(device)) >= 0);
			NEED(trigger() == 0);
			close(copy);
		}
		close(event);
		close(device);
		close(group);
		close(container);
		munmap((void *)memory, 17 * 4096);
	}
}

int main(int argc, char **argv)
{
	int ready[2], file;
	char text[64];

	NEED(!pipe(ready));
	setvbuf(stdout, NULL, _IONBF, 0);
	pid_t parent = getpid(), child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		work(ready[1], argc > 1 && !strcmp(argv[1], "hold"));
	}
	close(ready[1]);
	read(ready[0], text, 1);
	printf("%d %d\n", parent, child);
	while (waitpid(child, NULL, WNOHANG) == 0) {
		NEED((file = open("/sys/bus/pci/devices/0001:00:00.0/vendor", O_RDONLY)) >= 0);
		NEED(read(file, text, sizeof(text)) == 7);
		close(file);
	}
	return 7;
}
