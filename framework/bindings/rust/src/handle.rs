//! Handles of the library and who owns them, and the forms in which arguments are handed over.
use std::ffi::CString;
use std::mem;
use std::os::raw::c_int;
use std::ptr;
use std::time::Duration;

use crate::error::{check, Code, Error, Result};
use crate::sys;

/// Owns a handle, which is closed with it. Its number is never used again, so one that was closed before is nobody else's.
#[derive(Debug)]
pub(crate) struct Owned(u64);

impl Owned {
    pub(crate) fn new(handle: u64) -> Owned {
        Owned(handle)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0
    }

    /// For who closes it from now on.
    pub(crate) fn give_away(self) -> u64 {
        let handle = self.0;
        mem::forget(self);
        handle
    }

    /// Earlier than it is dropped; calls with it get [`Code::Closed`] then.
    pub(crate) fn close(&self) {
        // That it is closed already is no mistake.
        let _ = unsafe { sys::coppice_close(self.0) };
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a call puts into its last argument.
pub(crate) fn got<T: Default>(call: impl FnOnce(*mut T) -> c_int) -> Result<T> {
    let mut out = T::default();
    check(call(&mut out))?;
    Ok(out)
}

/// The handle that a call puts into its last argument.
pub(crate) fn made(call: impl FnOnce(*mut u64) -> c_int) -> Result<Owned> {
    got(call).map(Owned)
}

/// For arguments that end at their terminating zero.
pub(crate) fn name_argument(name: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(name).map_err(|_| Error::new(Code::InvalidArgument, "a name must not have a zero character"))
}

pub(crate) fn pointer_to(name: &Option<CString>) -> *const std::os::raw::c_char {
    name.as_ref().map_or(ptr::null(), |name| name.as_ptr())
}

/// A time that is not nothing is at least a millisecond.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    let whole = time.as_millis();
    let up = if time.subsec_nanos() % 1_000_000 == 0 { whole } else { whole + 1 };
    u64::try_from(up).unwrap_or(sys::FOREVER)
}

/// Handles of the library that are open in this process; for tests of leaks.
pub fn open_handles() -> usize {
    unsafe { sys::coppice_open_handles() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_cut_to_nothing() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(5)), 5);
        assert_eq!(milliseconds(Duration::new(1, 1)), 1001);
        assert_eq!(milliseconds(Duration::MAX), sys::FOREVER);
    }
}
