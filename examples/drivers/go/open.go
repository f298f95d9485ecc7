// Opening a function: through its group or its character device, its regions and limits, interrupts, DMA memory.
// SPDX-License-Identifier: MIT
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// ioctls, which have neither direction nor size in their numbers (linux/vfio.h, linux/iommufd.h).
const (
	setIommu, groupGetStatus, groupSetContainer, groupGetDeviceFd = 0x3b66, 0x3b67, 0x3b68, 0x3b6a
	getInfo, getRegionInfo, getIrqInfo, setIrqs, reset            = 0x3b6b, 0x3b6c, 0x3b6d, 0x3b6e, 0x3b6f
	mapDma, feature, bindIommufd, attachIommufdPt                 = 0x3b71, 0x3b75, 0x3b76, 0x3b77
	ioasAlloc, ioasMap                                            = 0x3b81, 0x3b85
)

// control is ioctl(2) with a struct: fields of 64 and 16 bits are where they are on this machine.
func control(fd int, request uintptr, words []uint32) (int, error) {
	result, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&words[0])))
	if errno != 0 {
		return -1, errno
	}
	return int(result), nil
}

func wide(words []uint32, at int) *uint64      { return (*uint64)(unsafe.Pointer(&words[at])) }
func shorts(words []uint32, at int) *[2]uint16 { return (*[2]uint16)(unsafe.Pointer(&words[at])) }

// must ends the driver where there is nothing to do without what failed.
func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func open(path string) int { return must(syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)) }

// openGroup opens the function through its group: the device, and the container that maps DMA.
func openGroup(address string) (device, container int) {
	link := must(os.Readlink("/sys/bus/pci/devices/" + address + "/iommu_group"))
	group, container := open("/dev/vfio/"+filepath.Base(link)), open("/dev/vfio/vfio")
	status := []uint32{8, 0}
	must(control(group, groupGetStatus, status))
	if status[1]&1 == 0 {
		must(0, errors.New("the group is not viable"))
	}
	must(control(group, groupSetContainer, []uint32{uint32(container)}))
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(container), setIommu, 3); errno != 0 { // type1v2
		must(0, errno)
	}
	name := append(make([]byte, 0, 16), address+"\x00"...)
	fd, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(group), groupGetDeviceFd, uintptr(unsafe.Pointer(&name[0])))
	if errno != 0 {
		must(0, errno)
	}
	return int(fd), container
}

// openCdev opens the function through its character device: the device, the iommufd, and the IOAS in it.
func openCdev(address string) (device, iommufd int, ioas uint32) {
	nodes := must(os.ReadDir("/sys/bus/pci/devices/" + address + "/vfio-dev"))
	device, iommufd = open("/dev/vfio/devices/"+nodes[0].Name()), open("/dev/iommu")
	must(control(device, bindIommufd, []uint32{16, 0, uint32(iommufd), 0}))
	alloc := []uint32{12, 0, 0}
	must(control(iommufd, ioasAlloc, alloc))
	must(control(device, attachIommufdPt, []uint32{12, 0, alloc[2]}))
	return device, iommufd, alloc[2]
}

// newIsm asks for positions of the regions, DMA addresses and the store-block limit: nothing that one thinks one knows.
func newIsm(device int) *ism {
	i := &ism{device: device, iova: ^uint64(0)}
	info := make([]uint32, 256)
	info[0] = 1024
	must(control(device, getInfo, info))
	for at := info[4] / 4 * (info[1] >> 7 & 1); at != 0; at = info[at+1] / 4 {
		switch id := shorts(info, int(at)); {
		case id[0] == 1:
			i.iova = *wide(info, int(at)+2)
		case id[0] == 2 && id[1] >= 2:
			i.maxStore = int(shorts(info, int(at)+10)[0]) // imaxstbl
		}
	}
	if i.iova == ^uint64(0) || i.maxStore == 0 {
		must(0, errors.New("the kernel does not tell DMA addresses and the store-block limit"))
	}
	i.iova = (i.iova + dmbBytes - 1) &^ (dmbBytes - 1) // a DMB must not lie across a 1 MiB line
	region := func(index uint32) (offset, size uint64) {
		words := []uint32{32, 0, index, 0, 0, 0, 0, 0}
		must(control(device, getRegionInfo, words))
		return *wide(words, 6), *wide(words, 4)
	}
	i.bar0, i.bar0Reach = region(0)
	i.bar2, _ = region(2)
	i.config, _ = region(7)
	for _, other := range []uint64{i.bar2, i.config} {
		if other > i.bar0 && other-i.bar0 < i.bar0Reach {
			i.bar0Reach = other - i.bar0
		}
	}
	i.msi, i.err = watch(device, msiIndex), watch(device, errIndex)
	i.memory = must(syscall.Mmap(-1, 0, dmbBytes+2*page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON))
	return i
}

// watch gives an eventfd for an interrupt; -1 where there is no such interrupt.
func watch(device int, index uint32) int {
	info := []uint32{16, 0, index, 0}
	if _, err := control(device, getIrqInfo, info); err != nil || info[3] == 0 {
		return -1
	}
	event, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		must(0, errno)
	}
	const eventfdTrigger = 4 | 32
	must(control(device, setIrqs, []uint32{24, eventfdTrigger, index, 0, 1, uint32(event)}))
	return int(event)
}

// mapDma lets the device see the memory at i.iova.
func (i *ism) mapDma(iommu int, ioas uint32, cdev bool) {
	from, size := uint64(uintptr(unsafe.Pointer(&i.memory[0]))), uint64(len(i.memory))
	if cdev {
		words := make([]uint32, 10)
		words[0], words[1], words[2] = 40, 7, ioas // flags: at this address, for reading and for writing
		*wide(words, 4), *wide(words, 6), *wide(words, 8) = from, size, i.iova
		must(control(iommu, ioasMap, words))
		return
	}
	words := make([]uint32, 8)
	words[0], words[1] = 32, 3
	*wide(words, 2), *wide(words, 4), *wide(words, 6) = from, i.iova, size
	must(control(iommu, mapDma, words))
}
