// Goroutines on many threads read and write a function while others never stop by themselves, so that the runtime
// preempts them by signals: ./many ADDRESS COUNT
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	bar2   = 2 << 48
	config = 7 << 48
)

func need(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
}

func ioctl(fd int, request, argument uintptr) int {
	result, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, argument)
	if errno != 0 {
		need(errno)
	}
	return int(result)
}

func open(path string) int {
	fd, err := syscall.Open(path, syscall.O_RDWR, 0)
	need(err)
	return fd
}

func main() {
	count, err := strconv.Atoi(os.Args[2])
	need(err)
	container, group := open("/dev/vfio/vfio"), open("/dev/vfio/0")
	argument := int32(container)
	ioctl(group, 0x3b68, uintptr(unsafe.Pointer(&argument)))
	ioctl(container, 0x3b66, 3)
	name := append([]byte(os.Args[1]), 0)
	device := ioctl(group, 0x3b6a, uintptr(unsafe.Pointer(&name[0])))
	_, err = syscall.Pwrite(device, []byte{6, 0}, config+4)
	need(err)
	header := make([]byte, 8)
	binary.BigEndian.PutUint32(header, 3)
	binary.BigEndian.PutUint32(header[4:], 8)
	_, err = syscall.Pwrite(device, header, bar2)
	need(err)
	answer := make([]byte, 16)
	_, err = syscall.Pread(device, answer, bar2)
	need(err)

	var wrong, done int64
	for i := 0; i < 4; i++ {
		go func() {
			// No call in here: only a signal stops it.
			for atomic.LoadInt64(&done) == 0 {
			}
		}()
	}
	var group4 sync.WaitGroup
	for i := 0; i < 16; i++ {
		group4.Add(1)
		go func(i int) {
			defer group4.Done()
			bytes := make([]byte, 4)
			for n := 0; n < count; n++ {
				read, err := syscall.Pread(device, bytes, config)
				if err != nil || read != 4 || binary.LittleEndian.Uint32(bytes) != 0x04ed1014 {
					atomic.AddInt64(&wrong, 1)
				}
				if file, err := os.Open("/sys/bus/pci/devices/" + os.Args[1] + "/vendor"); err != nil {
					atomic.AddInt64(&wrong, 1)
				} else {
					file.Close()
				}
			}
		}(i)
	}
	group4.Wait()
	atomic.StoreInt64(&done, 1)
	fmt.Printf("GID 0x%x, wrong %d\n", binary.BigEndian.Uint64(answer[8:]), wrong)
}
