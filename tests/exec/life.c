/* Descriptors in the life of processes: dup, fork, vfork, execve with and without CLOEXEC, close_range, a crash, a thread
 * group with CLONE_FILES. Without arguments all of it; `./life check FD EXPECTED` is what a new program looks at. */
#include "ism.h"
#include <sched.h>
#include <sys/syscall.h>

static int config_of(int fd)
{
	uint32_t id = 0;
	return pread(fd, &id, 4, CONFIG) == 4 && id == 0x04ed1014 ? 0 : errno;
}

static void say(const char *what, int error)
{
	printf("%s: %s\n", what, error ? strerror(error) : "works");
	fflush(stdout);
}

static int try_group(void)
{
	int fd = open("/dev/vfio/0", O_RDWR);
	int error = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

static int wait_for(pid_t child)
{
	int status;
	NEED(waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int in_thread(void *argument)
{
	close(*(int *)argument);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 3) {
		int error = config_of(atoi(argv[2]));
		printf("after execve: %s\n", error ? strerror(error) : "works");
		return 0;
	}
	open_function();

	int copy = dup(device);
	say("copy", config_of(copy));
	close(device);
	say("closed number", config_of(device));
	say("copy after close", config_of(copy));
	device = fcntl(copy, F_DUPFD_CLOEXEC, 0);
	close(copy);
	say("F_DUPFD_CLOEXEC", config_of(device));
	printf("FD_CLOEXEC: %d\n", fcntl(device, F_GETFD));

	pid_t child = fork();
	if (!child) {
		int error = config_of(device);
		close(device);
		close(group);
		_exit(error);
	}
	printf("child: %d\n", wait_for(child));
	say("parent after child", config_of(device));

	child = fork();
	if (!child) {
		close(device);
		close(group);
		close(container);
		raise(SIGKILL);
	}
	printf("killed child: %d\n", wait_for(child));
	say("parent after kill", config_of(device));

	char number[16];
	for (int closes = 0; closes < 2; closes++) {
		fcntl(device, F_SETFD, closes ? FD_CLOEXEC : 0);
		snprintf(number, sizeof(number), "%d", device);
		fflush(stdout);
		if (!(child = vfork())) {
			execl("/proc/self/exe", argv[0], "check", number, "x", NULL);
			_exit(98);
		}
		wait_for(child);
	}
	say("parent after execve", config_of(device));

	static char stack[65536];
	copy = dup(device);
	child = clone(in_thread, stack + sizeof(stack), CLONE_FILES | CLONE_VM | SIGCHLD, &copy);
	wait_for(child);
	say("closed in a shared table", config_of(copy));

	say("group while open", try_group());
	close(group);
	say("group after its close", try_group());
	syscall(SYS_close_range, device, device, 0);
	say("after close_range", config_of(device));
	close(container);
	say("group after the last close", try_group());

	child = fork();
	if (!child) {
		open_function();
		abort();
	}
	printf("crash: %d\n", wait_for(child) - 1000);
	say("group after a crash", try_group());
	return 0;
}
