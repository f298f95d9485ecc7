"""Opens a function through its group and reads and writes it by os.preadv, os.pwritev, fcntl.ioctl: many.py ADDRESS COUNT"""
import fcntl, os, select, struct, sys, threading

BAR2, CONFIG = 2 << 48, 7 << 48
address, count = sys.argv[1], int(sys.argv[2])

container = os.open("/dev/vfio/vfio", os.O_RDWR)
group = os.open("/dev/vfio/0", os.O_RDWR)
assert fcntl.ioctl(container, 0x3B64) == 0  # VFIO_GET_API_VERSION
fcntl.ioctl(group, 0x3B68, struct.pack("i", container))  # VFIO_GROUP_SET_CONTAINER
fcntl.ioctl(container, 0x3B66, 3)  # VFIO_SET_IOMMU
device = fcntl.ioctl(group, 0x3B6A, bytearray(address.encode() + b"\0"))  # VFIO_GROUP_GET_DEVICE_FD
os.pwritev(device, [b"\x06\x00"], CONFIG + 4)
event = os.eventfd(0) if hasattr(os, "eventfd") else -1

# The GID: header of the command, then the response.
assert os.pwritev(device, [struct.pack(">II", 3, 8)], BAR2) == 8
answer = bytearray(16)
assert os.preadv(device, [answer], BAR2) == 16

if event >= 0:
    # VFIO_DEVICE_SET_IRQS: the MSI signals the eventfd; then once by hand.
    fcntl.ioctl(device, 0x3B6E, struct.pack("5Ii", 24, 4 | 32, 1, 0, 1, event))
    fcntl.ioctl(device, 0x3B6E, struct.pack("5I", 20, 1 | 32, 1, 0, 1))
    assert select.select([event], [], [], 5)[0] and os.read(event, 8) == struct.pack("Q", 1)

wrong = []

def read():
    for _ in range(count):
        if os.pread(device, 4, CONFIG) != b"\x14\x10\xed\x04":
            wrong.append(1)

threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("GID 0x%x, wrong %d" % (struct.unpack(">Q", answer[8:])[0], len(wrong)))
