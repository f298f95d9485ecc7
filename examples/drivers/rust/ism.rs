// A user-space driver of an ISM function, in Rust and with nothing but its standard library. It opens the function
// through its group or its character device, registers SBA, IEQ and a DMB, tells its peer the DMB's token by an event,
// stores 10000 bytes into the peer's DMB with a signal, sleeps until the peer has done the same, and looks at what came.
// When the function reports an error it recovers and begins again. SPDX-License-Identifier: MIT
//
//   rustc -O -o ism ism.rs
//   ism exec -- ./ism [--cdev] 0001:00:00.0 [GID of the peer; without it the function is its own]
use std::fs::{read_dir, read_link, File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::{fs::FileExt, io::{AsRawFd, FromRawFd}};
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::SeqCst};
use std::{env, mem::transmute, process::exit, ptr, slice, thread, time::Duration};

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}
extern "C" {
    fn ioctl(fd: i32, request: u64, ...) -> i32;
    fn eventfd(count: u32, flags: i32) -> i32;
    fn poll(fds: *mut PollFd, count: u64, timeout: i32) -> i32;
    fn mmap(at: *mut u8, length: usize, protection: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
}

const PAGE: usize = 4096; const DMB_BYTES: usize = 65536; const DMB_INDEX: usize = 32; const AT: usize = 104;
const TOKEN_EVENT: u64 = 42; const TRIES: u32 = 1000;

const EIO: i32 = 5; const ENXIO: i32 = 6; const EAGAIN: i32 = 11; const ENOTTY: i32 = 25; const ENOMSG: i32 = 42; const EOVERFLOW: i32 = 75;
// ioctls, which have neither direction nor size in their numbers (linux/vfio.h, linux/iommufd.h).
const SET_IOMMU: u64 = 0x3b66; const GROUP_GET_STATUS: u64 = 0x3b67; const GROUP_SET_CONTAINER: u64 = 0x3b68;
const GROUP_GET_DEVICE_FD: u64 = 0x3b6a; const GET_INFO: u64 = 0x3b6b; const GET_REGION_INFO: u64 = 0x3b6c;
const GET_IRQ_INFO: u64 = 0x3b6d; const SET_IRQS: u64 = 0x3b6e; const RESET: u64 = 0x3b6f; const MAP_DMA: u64 = 0x3b71;
const FEATURE: u64 = 0x3b75; const BIND_IOMMUFD: u64 = 0x3b76; const ATTACH_IOMMUFD_PT: u64 = 0x3b77;
const IOAS_ALLOC: u64 = 0x3b81; const IOAS_MAP: u64 = 0x3b85;
// Interrupts, and commands of the adapter.
const MSI: u32 = 1; const ERR: u32 = 3;
const REG_SBA: u64 = 0x01; const REG_IEQ: u64 = 0x02; const READ_GID: u64 = 0x03; const REG_DMB: u64 = 0x0a;
const UNREG_DMB: u64 = 0x0b; const SIGNAL_IEQ: u64 = 0x0e; const UNREG_SBA: u64 = 0x11; const UNREG_IEQ: u64 = 0x12;

fn result(value: i32) -> Result<i32> {
    if value < 0 { Err(Error::last_os_error()) } else { Ok(value) }
}

/// ioctl(2) with a struct of 32-bit words, which is how all structs here are laid out.
fn control(file: &File, number: u64, words: &mut [u32]) -> Result<i32> {
    result(unsafe { ioctl(file.as_raw_fd(), number, words.as_mut_ptr()) })
}

/// 64-bit and 16-bit fields of such a struct, in the order of the machine.
fn wide(words: &[u32], at: usize) -> u64 {
    unsafe { transmute([words[at], words[at + 1]]) }
}
fn halves(value: u64) -> [u32; 2] {
    unsafe { transmute(value) }
}
fn shorts(word: u32) -> [u16; 2] {
    unsafe { transmute(word) }
}

fn open(path: &str) -> Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Through the group: the device, and the container that maps DMA.
fn open_group(address: &str) -> Result<(File, File, Option<u32>)> {
    let link = read_link(format!("/sys/bus/pci/devices/{address}/iommu_group"))?;
    let group = open(&format!("/dev/vfio/{}", link.file_name().unwrap().to_string_lossy()))?;
    let container = open("/dev/vfio/vfio")?;
    let mut status = [8, 0];
    control(&group, GROUP_GET_STATUS, &mut status)?;
    assert!(status[1] & 1 != 0, "the group is not viable");
    control(&group, GROUP_SET_CONTAINER, &mut [container.as_raw_fd() as u32])?;
    const TYPE1V2: u64 = 3;
    result(unsafe { ioctl(container.as_raw_fd(), SET_IOMMU, TYPE1V2) })?;
    let name = format!("{address}\0");
    let device = result(unsafe { ioctl(group.as_raw_fd(), GROUP_GET_DEVICE_FD, name.as_ptr()) })?;
    std::mem::forget(group); // it stays open as long as the device
    Ok((unsafe { File::from_raw_fd(device) }, container, None))
}

/// Through the character device: the device, the iommufd, and the IOAS in it.
fn open_cdev(address: &str) -> Result<(File, File, Option<u32>)> {
    let mut nodes = read_dir(format!("/sys/bus/pci/devices/{address}/vfio-dev"))?;
    let node = nodes.next().ok_or(ErrorKind::NotFound)??;
    let device = open(&format!("/dev/vfio/devices/{}", node.file_name().to_string_lossy()))?;
    let iommufd = open("/dev/iommu")?;
    control(&device, BIND_IOMMUFD, &mut [16, 0, iommufd.as_raw_fd() as u32, 0])?;
    let mut alloc = [12, 0, 0];
    control(&iommufd, IOAS_ALLOC, &mut alloc)?;
    control(&device, ATTACH_IOMMUFD_PT, &mut [12, 0, alloc[2]])?;
    Ok((device, iommufd, Some(alloc[2])))
}

struct Ism {
    device: File,
    bar0: u64, bar2: u64, config: u64, iova: u64, max_store: usize,
    /// Bytes of BAR 0 over which no other region lies; all of it where regions are 2^48 bytes apart.
    bar0_reach: u64,
    /// DMA memory in one piece: DMB, SBA, IEQ.
    memory: *mut u8,
    msi: Option<File>, err: Option<File>,
    last_event: usize, signalled: u16, peer_token: u64,
}

impl Ism {
    /// Positions of the regions, DMA addresses and the store-block limit: as the kernel says, never as one knows.
    fn new(device: File) -> Result<Ism> {
        let mut info = [0u32; 256];
        info[0] = 1024;
        control(&device, GET_INFO, &mut info)?;
        let (mut iova, mut max_store) = (None, None);
        let mut at = if info[1] & 0x80 != 0 { info[4] as usize / 4 } else { 0 };
        while at != 0 {
            let [id, version] = shorts(info[at]);
            if id == 1 {
                iova = Some(wide(&info, at + 2));
            } else if id == 2 && version >= 2 {
                max_store = Some(shorts(info[at + 10])[0] as usize); // imaxstbl
            }
            at = info[at + 1] as usize / 4;
        }
        let limits = iova.zip(max_store).ok_or(Error::from(ErrorKind::Unsupported))?;
        let region = |index: u32| -> Result<(u64, u64)> {
            let mut region = [32, 0, index, 0, 0, 0, 0, 0];
            control(&device, GET_REGION_INFO, &mut region)?;
            Ok((wide(&region, 6), wide(&region, 4)))
        };
        let ((bar0, mut bar0_reach), (bar2, _), (config, _)) = (region(0)?, region(2)?, region(7)?);
        for other in [bar2, config].into_iter().filter(|&other| other > bar0) {
            bar0_reach = bar0_reach.min(other - bar0);
        }
        // A DMB must not lie across a 1 MiB line: aligned to its size, it does not.
        let iova = (limits.0 + DMB_BYTES as u64 - 1) & !(DMB_BYTES as u64 - 1);
        let memory = unsafe { mmap(ptr::null_mut(), DMB_BYTES + 2 * PAGE, 3, 0x22, -1, 0) };
        assert!(memory as isize != -1);
        let (msi, err) = (watch(&device, MSI)?, watch(&device, ERR)?);
        let (max_store, last_event, signalled, peer_token) = (limits.1, 0, 0, 0);
        Ok(Ism { device, bar0, bar0_reach, bar2, config, iova, max_store, memory, msi, err, last_event, signalled, peer_token })
    }

    /// Lets the device see the memory at `self.iova`.
    fn map_dma(&self, iommu: &File, ioas: Option<u32>) -> Result<i32> {
        let (from, size, to) = (halves(self.memory as u64), halves((DMB_BYTES + 2 * PAGE) as u64), halves(self.iova));
        match ioas {
            // Flags: at this address, for reading and for writing.
            Some(id) => control(iommu, IOAS_MAP, &mut [[40, 7], [id, 0], from, size, to].concat()),
            None => control(iommu, MAP_DMA, &mut [[32, 3], from, to, size].concat()),
        }
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_be(unsafe { &*(self.memory.add(at) as *const AtomicU64) }.load(SeqCst))
    }

    /// Takes bits away from a byte of the SBA, of which the device sets others meanwhile.
    fn take(&self, at: usize, bits: u8) -> u8 {
        let byte = unsafe { &*(self.memory.add(DMB_BYTES + at) as *const AtomicU8) };
        byte.fetch_and(!bits, SeqCst) & bits
    }

    /// A command: payload first, then the header, which starts it; then the answer. Everything is big-endian.
    fn command(&self, code: u64, payload: &[u64]) -> Result<u64> {
        let bytes: Vec<u8> = payload.iter().flat_map(|word| word.to_be_bytes()).collect();
        if !bytes.is_empty() {
            self.device.write_all_at(&bytes, self.bar2 + 8)?;
        }
        self.device.write_all_at(&(code << 32 | (8 + bytes.len() as u64)).to_be_bytes(), self.bar2)?;
        let mut answer = [0xff; 16]; // with a return code that no device gives
        self.device.read_exact_at(&mut answer, self.bar2)?;
        match u16::from_be_bytes([answer[4], answer[5]]) {
            0 => Ok(u64::from_be_bytes(answer[8..].try_into().unwrap())),
            ret => Err(Error::new(ErrorKind::Other, format!("command 0x{code:x} answered 0x{ret:04x}"))),
        }
    }

    /// Stores into a DMB, a block at a time: none crosses 4 KiB or is over the limit, the last one signals.
    fn store(&self, token: u64, offset: usize, data: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < data.len() {
            let block = (data.len() - done).min(PAGE - (offset + done) % PAGE).min(self.max_store);
            let signal = if done + block == data.len() { 1 << 23 } else { 0 };
            let position = self.bar0 + (token | signal | (offset + done) as u64);
            self.device.write_all_at(&data[done..done + block], position)?;
            done += block;
        }
        Ok(())
    }

    /// What an interrupt means: summary first, so that no signal is lost; then DMB bits with masks, then events.
    fn walk(&mut self) {
        self.take(0, 0x80);
        for index in DMB_INDEX..1920 {
            if self.take(4 + index / 8, 0x80 >> (index % 8)) != 0 {
                let mask = [self.take(256 + 2 * index, 0xff), self.take(257 + 2 * index, 0xff)];
                self.signalled |= u16::from_be_bytes(mask);
            }
        }
        if self.take(0, 0x40) == 0 {
            return;
        }
        const IEQ: usize = DMB_BYTES + PAGE;
        while self.last_event != self.word(IEQ) as usize {
            let entry = IEQ + 32 + 32 * (self.last_event % 15);
            self.last_event = self.last_event % 15 + 1;
            if self.word(entry) == 2 << 32 | TOKEN_EVENT {
                self.peer_token = self.word(entry + 24);
            }
        }
    }

    /// Sleeps until an interrupt or for some time, and handles what came. EIO: the function reports an error.
    fn wait(&mut self, milliseconds: i32) -> Result<()> {
        let fd = |file: &Option<File>| file.as_ref().map_or(-1, |file| file.as_raw_fd());
        let mut sleep = [&self.msi, &self.err].map(|file| PollFd { fd: fd(file), events: 1, revents: 0 });
        result(unsafe { poll(sleep.as_mut_ptr(), 2, milliseconds) })?;
        if sleep[1].revents != 0 {
            return Err(Error::from_raw_os_error(EIO));
        }
        if sleep[0].revents != 0 && read_count(&self.msi) {
            self.walk();
        }
        Ok(())
    }

    /// Swaps tokens with the peer, stores into its DMB, waits for its store into ours.
    fn exchange(&mut self, peer: u64, token: u64) -> Result<()> {
        let data: Vec<u8> = (0..10000).map(|i| (i * 7 + i / 256) as u8).collect();
        // An event to a peer that is not there yet is lost: again until its own has come, and once more for it to have.
        for tries in 0.. {
            let told = self.peer_token != 0;
            self.command(SIGNAL_IEQ, &[peer, 1 << 32 | TOKEN_EVENT, token])?;
            match (told, tries) {
                (true, _) => break,
                (false, TRIES) => return Err(ErrorKind::TimedOut.into()),
                _ => self.wait(20)?,
            }
        }
        self.store(self.peer_token, AT, &data)?;
        for _ in 0..TRIES {
            if self.signalled == 0 {
                self.wait(20)?;
            }
        }
        let came = unsafe { slice::from_raw_parts(self.memory.add(AT), data.len()) };
        if came != data {
            return Err(ErrorKind::InvalidData.into());
        }
        println!("elements 0x{:04x}, data arrived", self.signalled);
        Ok(())
    }

    /// Registers everything, talks to the peer, takes it back. An error is one that recovery may help against.
    fn session(&mut self, peer: Option<u64>) -> Result<()> {
        unsafe { ptr::write_bytes(self.memory, 0, DMB_BYTES + 2 * PAGE) };
        (self.last_event, self.peer_token, self.signalled) = (0, 0, 0);
        let sba = self.iova + DMB_BYTES as u64;
        self.command(REG_SBA, &[sba])?;
        self.command(REG_IEQ, &[sba + PAGE as u64, 512])?;
        let own = self.command(READ_GID, &[])?;
        let peer = peer.unwrap_or(own);
        let token = self.command(REG_DMB, &[self.iova, (DMB_BYTES << 32 | DMB_INDEX) as u64, 0, peer])?;
        println!("GID 0x{own:x}, store blocks up to {} bytes", self.max_store);
        let reachable = token + DMB_BYTES as u64 <= self.bar0_reach;
        if reachable {
            self.exchange(peer, token)?;
        }
        self.command(UNREG_DMB, &[token])?;
        self.command(UNREG_IEQ, &[]).and_then(|_| self.command(UNREG_SBA, &[]))?;
        if reachable { Ok(()) } else { Err(Error::from_raw_os_error(EOVERFLOW)) }
    }

    /// Brings the function to life again: what happened, a reset. Mappings and eventfds are still there.
    fn recover(&self) -> Result<()> {
        let mut block = [0u8; 32];
        let [low, high] = halves(block.as_mut_ptr() as u64);
        // GET of feature 13, ZPCI_ERROR: the oldest block, until there is none.
        let drained = loop {
            if let Err(error) = control(&self.device, FEATURE, &mut [16, 1 << 16 | 13, low, high]) {
                break error;
            }
            let code = u16::from_be_bytes([block[30], block[31]]);
            eprintln!("error event 0x{code:04x}");
            assert!(code != 0x3b && code != 0x40, "the function is lost");
        };
        if !matches!(drained.raw_os_error(), Some(ENOMSG | ENOTTY)) {
            return Err(drained);
        }
        read_count(&self.err);
        // The kernel holds its locks for a moment: EAGAIN, then EIO. A condition code (1, 3) is no success, either.
        for tries in 0.. {
            match control(&self.device, RESET, &mut []) {
                Ok(0) => break,
                Err(error) if !matches!(error.raw_os_error(), Some(EAGAIN | EIO)) => return Err(error),
                Err(error) if tries == TRIES => return Err(error),
                _ => thread::sleep(Duration::from_millis(1)),
            }
        }
        Ok(())
    }
}

/// Takes the count of an eventfd. False where there is nothing to take.
fn read_count(event: &Option<File>) -> bool {
    event.as_ref().map_or(false, |mut file| file.read(&mut [0; 8]).is_ok())
}

/// An eventfd for an interrupt; none where there is no such interrupt.
fn watch(device: &File, index: u32) -> Result<Option<File>> {
    let mut info = [16, 0, index, 0];
    if control(device, GET_IRQ_INFO, &mut info).is_err() || info[3] == 0 {
        return Ok(None);
    }
    let event = unsafe { eventfd(0, 0o2004000) }; // EFD_CLOEXEC | EFD_NONBLOCK
    const EVENTFD_TRIGGER: u32 = 4 | 32;
    control(device, SET_IRQS, &mut [24, EVENTFD_TRIGGER, index, 0, 1, event as u32])?;
    Ok(Some(unsafe { File::from_raw_fd(event) }))
}

fn run() -> Result<i32> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let cdev = args.first().map_or(false, |arg| arg == "--cdev");
    args.drain(..cdev as usize);
    let address = args.first().map_or("0001:00:00.0", String::as_str);
    let peer = args.get(1).map(|gid| u64::from_str_radix(gid.trim_start_matches("0x"), 16).expect("a GID"));
    let (device, iommu, ioas) = if cdev { open_cdev(address)? } else { open_group(address)? };
    let mut ism = Ism::new(device)?;
    ism.map_dma(&iommu, ioas)?;
    for tries in 0.. {
        ism.device.write_all_at(&6u16.to_le_bytes(), ism.config + 4)?; // memory and bus master on
        match ism.session(peer).map_err(|error| (error.raw_os_error(), error)) {
            Ok(()) => return Ok(0),
            Err((Some(ENXIO), _)) => eprintln!("the machine refuses a store block of 8 bytes, which starts every command"),
            Err((Some(EOVERFLOW), _)) => eprintln!("other regions lie over BAR 0, and no DMB can be reached"),
            Err((_, error)) if tries == 3 => return Err(error),
            Err(_) => { ism.recover()?; continue }
        }
        break;
    }
    Ok(77) // this machine or kernel is not made for ISM
}

fn main() {
    exit(run().unwrap_or_else(|error| {
        eprintln!("{error}");
        1
    }));
}
