/* Descriptors at numbers of the program's own choice: dup2 to a low number, and one that a child sends in a message. */
#include "ism.h"
#include <sys/socket.h>

static const char *config_of(int fd)
{
	uint32_t id = 0;
	if (pread(fd, &id, 4, CONFIG) != 4)
		return strerror(errno);
	return id == 0x04ed1014 ? "works" : "differs";
}

int main(void)
{
	int pair[2], received;
	char space[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };

	int moved = dup2(open("/dev/null", O_RDWR), 77);
	NEED(moved == 77 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	if (!fork()) {
		open_function();
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		*header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(header), &device, sizeof(int));
		NEED(sendmsg(pair[0], &message, 0) == 1);
		NEED(read(pair[0], &byte, 1) == 1);
		_exit(0);
	}
	NEED(recvmsg(pair[1], &message, 0) == 1);
	memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	printf("received: %s\n", config_of(received));
	printf("dup2: %d\n", dup2(received, 77) == 77 ? 0 : errno);
	printf("moved: %s\n", config_of(77));
	close(received);
	printf("after close: %s, %s\n", config_of(received), config_of(77));
	NEED(write(pair[1], &byte, 1) == 1);
	NEED(wait(NULL) > 0);
	printf("after the sender: %s\n", config_of(77));
	close(77);
	printf("group: %s\n", open("/dev/vfio/0", O_RDWR) >= 0 ? "free" : strerror(errno));
	return 0;
}
