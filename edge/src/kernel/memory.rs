//! The program's arrays as memory of this process: once they are mapped, reading and writing them needs no system call, and
//! so no capability.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU16, AtomicU64},
};

/// An array of words. Each call maps it anew, for as long as the process lives.
pub(super) fn words(array: BorrowedFd<'_>, bytes: usize) -> io::Result<&'static [AtomicU64]> {
    let start = map(array, bytes)?;
    // SAFETY: the mapping is of `bytes` bytes, begins at a page, and is never taken away. Others, the program among them,
    // write to it in whole words, which is what atomics are for.
    Ok(unsafe { slice::from_raw_parts(start.cast().as_ptr(), bytes / size_of::<AtomicU64>()) })
}

/// An array of numbers of 16 bits.
pub(super) fn halves(array: BorrowedFd<'_>, bytes: usize) -> io::Result<&'static [AtomicU16]> {
    let start = map(array, bytes)?;
    // SAFETY: as above; the program only reads it, in words that have four of them.
    Ok(unsafe { slice::from_raw_parts(start.cast().as_ptr(), bytes / size_of::<AtomicU16>()) })
}

/// An array as bytes, for whoever makes tables of atomics of them at once. Each call maps it anew, for as long as the
/// process lives.
pub(super) fn bytes(array: BorrowedFd<'_>, bytes: usize) -> io::Result<&'static mut [u8]> {
    let start = map(array, bytes)?;
    // SAFETY: the mapping is of `bytes` bytes, is never taken away, and nothing else in this process is at its address.
    Ok(unsafe { slice::from_raw_parts_mut(start.as_ptr(), bytes) })
}

fn map(array: BorrowedFd<'_>, bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that is there; the result is checked.
    let start = unsafe {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        libc::mmap(ptr::null_mut(), bytes, access, flags, array.as_raw_fd(), 0)
    };
    match NonNull::new(start) {
        Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(start.cast()),
        _ => Err(io::Error::last_os_error()),
    }
}
