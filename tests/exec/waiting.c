/* poll, select and epoll on devices and eventfds. */
#include "ism.h"
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

int main(void)
{
	open_function();
	struct pollfd fds[] = { { device, POLLIN | POLLOUT, 0 }, { group, POLLIN | POLLOUT, 0 }, { event, POLLIN, 0 } };
	printf("poll: %d", poll(fds, 3, 0));
	printf(" %d %d %d\n", fds[0].revents, fds[1].revents, fds[2].revents);
	trigger();
	printf("poll: %d", poll(fds, 3, 1000));
	printf(" %d\n", fds[2].revents);
	printf("count: %llu\n", (unsigned long long)count_of(event));

	fd_set set;
	FD_ZERO(&set);
	FD_SET(device, &set);
	FD_SET(event, &set);
	struct timeval none = { 0, 0 };
	printf("select: %d", select(1024, &set, NULL, NULL, &none));
	printf(" %d %d\n", !!FD_ISSET(device, &set), !!FD_ISSET(event, &set));

	int epoll = epoll_create1(0);
	struct epoll_event want = { .events = EPOLLIN, .data.fd = event };
	printf("epoll device: %d", epoll_ctl(epoll, EPOLL_CTL_ADD, device, &want));
	printf(" %s\n", strerror(errno));
	printf("epoll eventfd: %d\n", epoll_ctl(epoll, EPOLL_CTL_ADD, event, &want));

	/* Somebody sleeps; the interrupt of a store wakes it up. */
	int blocking = eventfd(0, 0);
	set_msi(blocking);
	pid_t child = fork();
	if (!child) {
		uint64_t value = 1;
		usleep(20000);
		memory[0] = 0;
		NEED(pwrite(device, &value, 8, token | SIGNAL_FLAG) == 8);
		_exit(0);
	}
	uint64_t count = 0;
	ssize_t length = read(blocking, &count, 8);
	printf("sleeper read %zd: %llu\n", length, (unsigned long long)count);
	waitpid(child, NULL, 0);
	set_msi(event);
	trigger();
	struct epoll_event got;
	printf("epoll: %d\n", epoll_wait(epoll, &got, 1, 1000));
	return 0;
}
