// A user-space driver of an ISM function, in Go and with nothing but its standard library. It opens the function through
// its group or its character device, registers SBA, IEQ and a DMB, tells its peer the DMB's token by an event, stores
// 10000 bytes into the peer's DMB with a signal, sleeps until the peer has done the same, and looks at what came. When the
// function reports an error it recovers and begins again. SPDX-License-Identifier: MIT
//
//	go build -o ism ism.go open.go
//	ism exec -- ./ism [--cdev] 0001:00:00.0 [GID of the peer; without it the function is its own]
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	page, dmbBytes, dmbIndex, at = 4096, 65536, 32, 104
	tokenEvent, tries            = 42, 1000
	cannotWork                   = 77 // exit code: this machine or kernel is not made for ISM
)

// Interrupts, and commands of the adapter.
const (
	msiIndex, errIndex                        = 1, 3
	regSba, regIeq, readGid, regDmb, unregDmb = 0x01, 0x02, 0x03, 0x0a, 0x0b
	signalIeq, unregSba, unregIeq             = 0x0e, 0x11, 0x12
)

var errUnreachable = errors.New("other regions lie over BAR 0, and no DMB can be reached")

// ism is an open function.
type ism struct {
	device, msi, err   int // err is -1 on kernels that recover by themselves
	bar0, bar2, config uint64
	bar0Reach          uint64 // bytes of BAR 0 over which no other region lies
	iova               uint64
	maxStore           int
	memory             []byte // DMA memory in one piece, which Go does not move: DMB, SBA, IEQ
	lastEvent          int
	signalled          uint16
	peerToken          uint64
}

// word is a big-endian word that the device writes.
func (i *ism) word(at int) uint64 {
	var bytes [8]byte
	*(*uint64)(unsafe.Pointer(&bytes)) = atomic.LoadUint64((*uint64)(unsafe.Pointer(&i.memory[at])))
	return binary.BigEndian.Uint64(bytes[:])
}

// take takes bits away from a byte of the SBA, of which the device sets others meanwhile.
func (i *ism) take(at int, bits byte) byte {
	at += dmbBytes
	word := (*uint32)(unsafe.Pointer(&i.memory[at&^3]))
	mask := [4]byte{}
	mask[at&3] = bits
	for {
		before := atomic.LoadUint32(word)
		after := before &^ *(*uint32)(unsafe.Pointer(&mask))
		if atomic.CompareAndSwapUint32(word, before, after) {
			return (*[4]byte)(unsafe.Pointer(&before))[at&3] & bits
		}
	}
}

// write is one store block.
func (i *ism) write(data []byte, position uint64) error {
	count, err := syscall.Pwrite(i.device, data, int64(position))
	if err == nil && count != len(data) {
		err = syscall.EIO
	}
	return err
}

// command sends the payload first, then the header, which starts it; then it reads the answer. All is big-endian.
func (i *ism) command(code uint64, payload ...uint64) (uint64, error) {
	data := make([]byte, 8+8*len(payload))
	binary.BigEndian.PutUint64(data, code<<32|uint64(len(data)))
	for at, word := range payload {
		binary.BigEndian.PutUint64(data[8+8*at:], word)
	}
	if len(payload) > 0 {
		if err := i.write(data[8:], i.bar2+8); err != nil {
			return 0, err
		}
	}
	if err := i.write(data[:8], i.bar2); err != nil {
		return 0, err
	}
	answer := bytes.Repeat([]byte{0xff}, 16) // with a return code that no device gives
	if count, err := syscall.Pread(i.device, answer, int64(i.bar2)); err != nil {
		return 0, err
	} else if count != len(answer) {
		return 0, syscall.EIO
	}
	if ret := binary.BigEndian.Uint16(answer[4:]); ret != 0 {
		return 0, fmt.Errorf("command 0x%x answered 0x%04x", code, ret)
	}
	return binary.BigEndian.Uint64(answer[8:]), nil
}

// store moves bytes into a DMB, a block at a time: none crosses 4 KiB or is over the limit, the last one signals.
func (i *ism) store(token uint64, offset int, data []byte) error {
	for len(data) > 0 {
		block, signal := len(data), uint64(1<<23)
		if line := page - offset%page; block > line {
			block, signal = line, 0
		}
		if block > i.maxStore {
			block, signal = i.maxStore, 0
		}
		if err := i.write(data[:block], i.bar0+(token|signal|uint64(offset))); err != nil {
			return err
		}
		offset, data = offset+block, data[block:]
	}
	return nil
}

// walk is what an interrupt means: summary first, so that no signal is lost; then DMB bits with masks, then events.
func (i *ism) walk() {
	i.take(0, 0x80)
	for index := dmbIndex; index < 1920; index++ {
		if i.take(4+index/8, 0x80>>(index%8)) != 0 {
			i.signalled |= uint16(i.take(256+2*index, 0xff))<<8 | uint16(i.take(257+2*index, 0xff))
		}
	}
	if i.take(0, 0x40) == 0 {
		return
	}
	const ieq = dmbBytes + page
	for i.lastEvent != int(i.word(ieq)) {
		entry := ieq + 32 + 32*(i.lastEvent%15)
		i.lastEvent = i.lastEvent%15 + 1
		if i.word(entry) == 2<<32|tokenEvent {
			i.peerToken = i.word(entry + 24)
		}
	}
}

// readCount takes the count of an eventfd. False where there is nothing to take.
func readCount(event int) bool {
	count, _ := syscall.Read(event, make([]byte, 8))
	return count == 8
}

// wait sleeps until an interrupt or for some time, and handles what came. EIO: the function reports an error.
func (i *ism) wait(sleep time.Duration) error {
	type pollFd struct {
		fd              int32
		events, revents int16
	}
	fds := [2]pollFd{{int32(i.msi), 1, 0}, {int32(i.err), 1, 0}}
	timeout := syscall.NsecToTimespec(int64(sleep))
	_, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 2,
		uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	if errno != 0 && errno != syscall.EINTR {
		return errno
	}
	if fds[1].revents != 0 {
		return syscall.EIO
	}
	if fds[0].revents != 0 && readCount(i.msi) {
		i.walk()
	}
	return nil
}

// exchange swaps tokens with the peer, stores into its DMB, and waits for its store into ours.
func (i *ism) exchange(peer, token uint64) error {
	data := make([]byte, 10000)
	for at := range data {
		data[at] = byte(at*7 + at/256)
	}
	// An event to a peer that is not there yet is lost: again until its own has come, and once more for it to have.
	for try, told := 0, false; !told; try++ {
		if try == tries {
			return syscall.ETIMEDOUT
		}
		told = i.peerToken != 0
		if _, err := i.command(signalIeq, peer, 1<<32|tokenEvent, token); err != nil {
			return err
		}
		if told {
			break
		}
		if err := i.wait(20 * time.Millisecond); err != nil {
			return err
		}
	}
	if err := i.store(i.peerToken, at, data); err != nil {
		return err
	}
	for try := 0; i.signalled == 0 && try < tries; try++ {
		if err := i.wait(20 * time.Millisecond); err != nil {
			return err
		}
	}
	if !bytes.Equal(i.memory[at:at+len(data)], data) {
		return syscall.EBADMSG
	}
	fmt.Printf("elements 0x%04x, data arrived\n", i.signalled)
	return nil
}

// session registers everything, talks to the peer and takes it back. An error is one that recovery may help against.
func (i *ism) session(peer uint64) (err error) {
	var own, token uint64
	send := func(code uint64, payload ...uint64) (value uint64) {
		if err == nil {
			value, err = i.command(code, payload...)
		}
		return value
	}
	for at := range i.memory {
		i.memory[at] = 0
	}
	i.lastEvent, i.peerToken, i.signalled = 0, 0, 0
	send(regSba, i.iova+dmbBytes)
	send(regIeq, i.iova+dmbBytes+page, 512)
	if own = send(readGid); peer == 0 {
		peer = own
	}
	token = send(regDmb, i.iova, dmbBytes<<32|dmbIndex, 0, peer)
	if err != nil {
		return err
	}
	fmt.Printf("GID 0x%x, store blocks up to %d bytes\n", own, i.maxStore)
	reachable := token+dmbBytes <= i.bar0Reach
	if reachable {
		err = i.exchange(peer, token)
	}
	send(unregDmb, token)
	send(unregIeq)
	send(unregSba)
	if err == nil && !reachable {
		err = errUnreachable
	}
	return err
}

// recover brings the function to life again: what happened, a reset. Mappings and eventfds are still there.
func (i *ism) recover() {
	words := []uint32{16, 1<<16 | 13, 0, 0} // GET of feature 13, ZPCI_ERROR: the oldest block, until there is none
	block := must(syscall.Mmap(-1, 0, page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON))
	*wide(words, 2) = uint64(uintptr(unsafe.Pointer(&block[0])))
	_, err := control(i.device, feature, words)
	for ; err == nil; _, err = control(i.device, feature, words) {
		code := binary.BigEndian.Uint16(block[30:])
		fmt.Fprintf(os.Stderr, "error event 0x%04x\n", code)
		if code == 0x3b || code == 0x40 {
			must(0, errors.New("the function is lost"))
		}
	}
	if err != syscall.ENOMSG && err != syscall.ENOTTY {
		must(0, err)
	}
	readCount(i.err)
	// The kernel holds its locks for a moment: EAGAIN, then EIO. A condition code (1, 3) is no success, either.
	for try := 0; ; try++ {
		cc, err := control(i.device, reset, words)
		if cc == 0 {
			return
		}
		if err != nil && (try == tries || err != syscall.EAGAIN && err != syscall.EIO) {
			must(0, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func main() {
	args := append(os.Args[1:], "0001:00:00.0")
	cdev := args[0] == "--cdev"
	if cdev {
		args = args[1:]
	}
	var peer uint64
	if len(args) > 2 {
		peer = must(strconv.ParseUint(args[1], 0, 64))
	}
	var device, iommu int
	var ioas uint32
	if cdev {
		device, iommu, ioas = openCdev(args[0])
	} else {
		device, iommu = openGroup(args[0])
	}
	i := newIsm(device)
	i.mapDma(iommu, ioas, cdev)
	for try := 0; ; try++ {
		must(0, i.write([]byte{6, 0}, i.config+4)) // memory and bus master on
		err := i.session(peer)
		if err == nil {
			return
		}
		if err == syscall.ENXIO || err == errUnreachable {
			fmt.Fprintln(os.Stderr, "this machine or kernel cannot do it:", err)
			os.Exit(cannotWork)
		}
		if try == 3 {
			must(0, err)
		}
		i.recover()
	}
}
