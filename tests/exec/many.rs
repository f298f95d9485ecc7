//! Threads read and write a function with nothing but the standard library: ./many ADDRESS COUNT
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::io::{AsRawFd, FromRawFd};
use std::sync::Arc;

extern "C" {
    fn ioctl(fd: i32, request: u64, ...) -> i32;
}

const BAR2: u64 = 2 << 48;
const CONFIG: u64 = 7 << 48;

fn open(path: &str) -> File {
    OpenOptions::new().read(true).write(true).open(path).expect(path)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let count: usize = args[2].parse().unwrap();
    let (container, group) = (open("/dev/vfio/vfio"), open("/dev/vfio/0"));
    let number = container.as_raw_fd();
    let name = CString::new(args[1].as_str()).unwrap();
    let device = unsafe {
        assert_eq!(ioctl(group.as_raw_fd(), 0x3b68, &number as *const i32), 0);
        assert_eq!(ioctl(container.as_raw_fd(), 0x3b66, 3u64), 0);
        let fd = ioctl(group.as_raw_fd(), 0x3b6a, name.as_ptr());
        assert!(fd >= 0);
        Arc::new(File::from_raw_fd(fd))
    };
    device.write_all_at(&[6, 0], CONFIG + 4).unwrap();
    device.write_all_at(&[0, 0, 0, 3, 0, 0, 0, 8], BAR2).unwrap();
    let mut answer = [0u8; 16];
    device.read_exact_at(&mut answer, BAR2).unwrap();
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let device = device.clone();
            std::thread::spawn(move || {
                let mut wrong = 0;
                for _ in 0..count {
                    let mut bytes = [0u8; 4];
                    if device.read_at(&mut bytes, CONFIG).ok() != Some(4) || bytes != [0x14, 0x10, 0xed, 0x04] {
                        wrong += 1;
                    }
                }
                wrong
            })
        })
        .collect();
    let wrong: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    println!("GID 0x{:x}, wrong {}", u64::from_be_bytes(answer[8..].try_into().unwrap()), wrong);
}
