/* Starts a program for which the kernel refuses one thing: ./refuse WHAT PROGRAM ARGS... WHAT is the name of a call, "sync", which is
 * SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, as on a kernel that does not have it, or "listener", which is any filter with one. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SET_FLAGS 0x40082104u
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define END(action) BPF_STMT(BPF_RET | BPF_K, action)

int main(int argc, char **argv)
{
	struct { const char *name; unsigned number; } calls[] = {
		{ "pidfd_getfd", SYS_pidfd_getfd }, { "pidfd_open", SYS_pidfd_open },
		{ "process_vm_readv", SYS_process_vm_readv }, { "process_vm_writev", SYS_process_vm_writev },
	};
	struct sock_filter call[] = { LOAD(nr), UNLESS(0, 1), END(SECCOMP_RET_ERRNO | EPERM), END(SECCOMP_RET_ALLOW) };
	struct sock_filter sync[] = { LOAD(nr), UNLESS(SYS_ioctl, 3), ARGUMENT(1), UNLESS(SET_FLAGS, 1),
		END(SECCOMP_RET_ERRNO | EINVAL), END(SECCOMP_RET_ALLOW) };
	struct sock_filter listener[] = { LOAD(nr), UNLESS(SYS_seccomp, 1), END(SECCOMP_RET_ERRNO | EPERM), END(SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 0, NULL };

	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "sync"))
		program = (struct sock_fprog){ sizeof(sync) / sizeof(*sync), sync };
	else if (!strcmp(argv[1], "listener"))
		program = (struct sock_fprog){ sizeof(listener) / sizeof(*listener), listener };
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!strcmp(argv[1], calls[i].name)) {
			call[1].k = calls[i].number;
			program = (struct sock_fprog){ sizeof(call) / sizeof(*call), call };
		}
	if (program.len == 0)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("filter");
		return 98;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 97;
}
