/* What files say of themselves: open flags, fcntl, stat, access, readlink, readdir, and what writes to sysfs do. */
#include "ism.h"
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define DEVICE "/sys/bus/pci/devices/0001:00:00.0"

static void say(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: %s\n", what, "works");
}

static void cat(const char *name)
{
	char path[200], text[300] = "";
	snprintf(path, sizeof(path), DEVICE "/%s", name);
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	text[length < 0 ? 0 : length] = 0;
	printf("%s: %s%s", name, text, strchr(text, '\n') ? "" : "\n");
	close(fd);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	long result = fd < 0 ? -1 : write(fd, text, strlen(text));
	printf("echo %s > %s: %s\n", text, strrchr(path, '/') + 1, result < 0 ? strerror(errno) : "works");
	close(fd);
}

static void link_of(const char *path)
{
	char target[PATH_MAX] = "", resolved[PATH_MAX] = "";
	long length = readlink(path, target, sizeof(target) - 1);
	printf("%s -> %s = %s\n", path, length < 0 ? strerror(errno) : target, realpath(path, resolved) ? resolved : "");
}

int main(void)
{
	struct stat status;
	struct statx more;

	int fd = open("/dev/vfio/vfio", O_RDONLY);
	printf("F_GETFL: %o\n", fcntl(fd, F_GETFL) & 03777);
	say("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK));
	printf("F_GETFL: %o\n", fcntl(fd, F_GETFL) & O_NONBLOCK);
	fstat(fd, &status);
	printf("fstat: %o %u:%u\n", status.st_mode & S_IFMT, major(status.st_rdev), minor(status.st_rdev));
	close(fd);
	say("O_DIRECTORY", open("/dev/vfio/vfio", O_DIRECTORY));
	say("O_CREAT|O_EXCL", open("/dev/vfio/vfio", O_CREAT | O_EXCL | O_RDWR, 0600));
	say("missing", open("/dev/vfio/99", O_RDWR));
	say("new file", open("/dev/vfio/99", O_RDWR | O_CREAT, 0600));
	say("below a file", open("/dev/vfio/vfio/x", O_RDWR));
	say("link with O_NOFOLLOW", open(DEVICE "/iommu_group", O_NOFOLLOW));
	say("directory for writing", open("/sys/bus/pci/devices", O_RDWR));
	say("read-only attribute", open(DEVICE "/vendor", O_RDWR));
	say("write-only attribute", open("/sys/bus/pci/drivers/vfio-pci/bind", O_RDONLY));
	say("dots", open("/dev/../dev/./vfio//vfio", O_RDWR));
	say("stat", stat("/dev/vfio/0", &status));
	say("stat of nothing", stat("/dev/vfio/1", &status));
	say("access", access("/dev/iommu", R_OK | W_OK));
	say("access X_OK", access("/dev/iommu", X_OK));
	lstat(DEVICE, &status);
	printf("lstat: %o\n", status.st_mode & S_IFMT);
	stat(DEVICE, &status);
	printf("stat: %o\n", status.st_mode & S_IFMT);
	statx(AT_FDCWD, DEVICE "/config", 0, STATX_BASIC_STATS, &more);
	printf("statx: %o %llu\n", more.stx_mode & S_IFMT, (unsigned long long)more.stx_size);
	link_of(DEVICE "/iommu_group");
	link_of(DEVICE "/driver");
	link_of("/sys/kernel/iommu_groups/0/devices/0001:00:00.0");
	link_of("/sys/class/vfio-dev/vfio0");
	link_of("/dev/vfio/0");

	DIR *directory = opendir("/sys/bus/pci/devices");
	for (struct dirent *entry; (entry = readdir(directory));)
		printf("entry: %s %d\n", entry->d_name, entry->d_type);
	rewinddir(directory);
	int at = openat(dirfd(directory), "0001:00:00.0/vendor", O_RDONLY);
	char text[16] = "";
	say("openat", at);
	long first = read(at, text, 4), second = read(at, text, 16), third = read(at, text, 16);
	printf("read: %ld %ld %ld\n", first, second, third);
	first = lseek(at, 0, SEEK_SET);
	printf("lseek: %ld, again: %zd\n", first, read(at, text, 16));
	closedir(directory);
	for (const char *names[] = { "vendor", "device", "class", "subsystem_vendor", "subsystem_device", "revision",
		"numa_node", "driver_override", "vfio-dev/vfio0/dev", 0 }, **name = names; *name; name++)
		cat(*name);

	int config = open(DEVICE "/config", O_RDWR);
	uint16_t command = 0;
	pread(config, &command, 2, 4);
	printf("bus master: %d\n", command >> 2 & 1);
	command |= 4;
	printf("config: %zd of 300\n", pread(config, (char[300]){ 0 }, 300, 0));
	printf("config: %zd written\n", pwrite(config, &command, 2, 4));
	pread(config, &command, 2, 4);
	printf("bus master: %d\n", command >> 2 & 1);

	put("/sys/bus/pci/drivers/ism_vfio_pci/unbind", "0001:00:00.0");
	say("group without a driver", open("/dev/vfio/0", O_RDWR));
	link_of(DEVICE "/driver");
	put("/sys/bus/pci/drivers/vfio-pci/bind", "0001:00:00.0");
	put(DEVICE "/driver_override", "vfio-pci\n");
	put("/sys/bus/pci/drivers/vfio-pci/bind", "0001:00:00.0\n");
	put("/sys/bus/pci/drivers/vfio-pci/bind", "0009:00:00.0\n");
	link_of(DEVICE "/driver");
	put("/sys/bus/pci/drivers/ism_vfio_pci/unbind", "0001:00:00.0");
	say("group of the generic driver", fd = open("/dev/vfio/0", O_RDWR));
	close(fd);
	put("/sys/bus/pci/drivers/vfio-pci/unbind", "0001:00:00.0");
	put(DEVICE "/driver_override", "ism_vfio_pci");
	put("/sys/bus/pci/drivers/ism_vfio_pci/bind", "0001:00:00.0");

	open_function();
	int null = open("/dev/null", O_RDWR), pipes[2];
	NEED(!pipe(pipes));
	say("mmap", mmap(NULL, 4096, PROT_READ, MAP_SHARED, device, 0) == MAP_FAILED ? -1 : 0);
	say("ftruncate", ftruncate(device, 0));
	say("fchdir", fchdir(device));
	say("copy_file_range", copy_file_range(device, NULL, null, NULL, 8, 0));
	say("splice", splice(device, NULL, pipes[1], NULL, 8, 0));
	static struct iovec many[1025];
	struct iovec *volatile nowhere = (void *)8;
	struct iovec iov = { text, 8 };
	say("preadv2 with RWF_NOWAIT", preadv2(device, &iov, 1, CONFIG, RWF_NOWAIT));
	say("preadv2", preadv2(device, &iov, 1, CONFIG, 0));
	say("too many segments", preadv(device, many, 1025, CONFIG));
	say("bad vector", preadv(device, nowhere, 1, CONFIG));
	say("lseek with whence 9", lseek(device, 0, 9));
	say("FIONREAD", ioctl(device, 0x541b, &null));
	say("FIOCLEX", ioctl(device, 0x5451));
	printf("FD_CLOEXEC: %d\n", fcntl(device, F_GETFD));
	say("no pointer", ioctl(device, VFIO_DEVICE_GET_INFO, NULL));
	void *constant = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*(uint32_t *)constant = 24;
	mprotect(constant, 4096, PROT_READ);
	say("read-only struct", ioctl(device, VFIO_DEVICE_GET_INFO, constant));
	say("read into read-only memory", pread(device, constant, 8, CONFIG));
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)constant,
		.iova = IOVA + 0x100000, .size = 4096 };
	say("read-only memory for the device to write", ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	map.flags = 1;
	say("and to read", ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	munmap(constant, 4096);
	map.iova += 4096;
	say("memory that is not there", ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	uint64_t value = 7;
	munmap((void *)(memory + 4096), 4096);
	say("store into memory that is unmapped meanwhile", pwrite(device, &value, 8, token));
	return 0;
}
