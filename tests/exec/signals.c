/* A timer that interrupts every 100 microseconds: ./signals COUNT [restart|-] [MICROSECONDS]. Each store and each ioctl happens once. A
 * handler without SA_RESTART may see EINTR of a call that was not carried out, and calls again. */
#include "ism.h"
#include <signal.h>
#include <sys/time.h>

#define AGAIN(call) ({ long result_; do result_ = (call); while (result_ < 0 && errno == EINTR && !restarts); result_; })

static volatile long alarms;
static int restarts;
static void tick(int number) { (void)number; alarms++; }

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1000, wrong = 0;

	long period = argc > 3 ? atol(argv[3]) : 100;

	restarts = argc > 2 && strcmp(argv[2], "-") != 0;
	uint64_t signalled = 0, triggered = 0;
	struct sigaction action = { .sa_handler = tick, .sa_flags = restarts ? SA_RESTART : 0 };
	struct itimerval every = { { 0, period }, { 0, period } };

	open_function();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (long i = 1; i <= count; i++) {
		uint64_t value = i, back = 0;
		memory[0] = 0; /* the summary: a store with a signal interrupts once more */
		wrong += AGAIN(pwrite(device, &value, 8, token | SIGNAL_FLAG)) != 8;
		memcpy(&back, (void *)(memory + 4096), 8);
		wrong += back != value;
		signalled += count_of(event);
		wrong += AGAIN(trigger()) != 0;
		triggered += count_of(event);
		wrong += AGAIN(pread(device, &back, 8, BAR2)) != 8;
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	printf("wrong %ld, stores %s, triggers %s, alarms %s\n", wrong, signalled == (uint64_t)count ? "once" : "not once",
	       triggered == (uint64_t)count ? "once" : "not once", alarms > 0 ? "came" : "never");
	return 0;
}
