//! The C interface (coppice.h), as far as this crate calls it.
//!
//! What every call here relies on: any number is good as a handle, the library checks it; pointers to arguments and results are
//! only used during the call; a text or bytes are a pointer with a size. Where a pointer that the library gives is used longer,
//! the place says why it still lives.
use std::os::raw::{c_char, c_int, c_void};

pub const HEADER_MAJOR: u32 = 1;
pub const HEADER_MINOR: u32 = 0;
pub const FOREVER: u64 = u64::MAX;

pub const OK: c_int = 0;

pub const MESSAGE: c_int = 1;
pub const REQUEST: c_int = 2;
pub const ANSWER: c_int = 3;

pub const NOTHING: c_int = 0;
pub const BOOL: c_int = 1;
pub const INT: c_int = 2;
pub const UINT: c_int = 3;
pub const REAL: c_int = 4;
pub const TEXT: c_int = 5;
pub const BYTES: c_int = 6;
pub const LIST: c_int = 7;
pub const RECORD: c_int = 8;
pub const MAP: c_int = 9;
pub const REF: c_int = 10;
pub const TAGGED: c_int = 11;

#[repr(C)]
pub struct NodeOptions {
    pub size: usize,
    pub name: *const c_char,
    pub tree: *const c_char,
    pub parent: *const c_char,
    pub listen: *const c_char,
    pub secret_file: *const c_char,
    pub secret_env: *const c_char,
    pub hold_ms: u64,
    pub join_ms: u64,
    pub log_level: i32,
}

#[repr(C)]
pub struct ActorOptions {
    pub size: usize,
    pub name: *const c_char,
    pub mailbox: u32,
    pub stops_node: i32,
}

#[rustfmt::skip]
extern "C" {
    pub fn coppice_check_version(header_major: u32, header_minor: u32) -> c_int;
    pub fn coppice_code_name(code: c_int) -> *const c_char;
    pub fn coppice_error_text() -> *const c_char;
    pub fn coppice_close(handle: u64) -> c_int;
    pub fn coppice_open_handles() -> usize;

    pub fn coppice_open_node(options: *const NodeOptions, out: *mut u64) -> c_int;
    pub fn coppice_open_actor(node: u64, options: *const ActorOptions, out: *mut u64) -> c_int;
    pub fn coppice_is_child() -> c_int;
    pub fn coppice_open_child(announce: c_int, node: *mut u64, actor: *mut u64) -> c_int;
    pub fn coppice_ready(actor: u64) -> c_int;
    pub fn coppice_give_up(actor: u64, text: *const c_char, size: usize) -> c_int;
    pub fn coppice_exit_code() -> c_int;
    pub fn coppice_path(actor: u64, text: *mut *const c_char, size: *mut usize) -> c_int;

    pub fn coppice_find(from: u64, path: *const c_char, out: *mut u64) -> c_int;
    pub fn coppice_self(actor: u64, out: *mut u64) -> c_int;
    pub fn coppice_ref_text(to: u64, text: *mut c_char, room: usize) -> c_int;
    pub fn coppice_same(a: u64, b: u64) -> c_int;

    pub fn coppice_send_nothing(from: u64, to: u64) -> c_int;
    pub fn coppice_send_bool(from: u64, to: u64, b: c_int) -> c_int;
    pub fn coppice_send_int64(from: u64, to: u64, n: i64) -> c_int;
    pub fn coppice_send_uint64(from: u64, to: u64, n: u64) -> c_int;
    pub fn coppice_send_double(from: u64, to: u64, x: f64) -> c_int;
    pub fn coppice_send_text(from: u64, to: u64, text: *const c_char, size: usize) -> c_int;
    pub fn coppice_send_bytes(from: u64, to: u64, bytes: *const c_void, size: usize) -> c_int;
    pub fn coppice_send_tagged(from: u64, to: u64, tag: u64, bytes: *const c_void, size: usize) -> c_int;
    pub fn coppice_send(from: u64, to: u64, v: u64, wait_ms: u64) -> c_int;
    pub fn coppice_ask(from: u64, to: u64, v: u64, within_ms: u64, answer: *mut u64) -> c_int;
    pub fn coppice_ask_later(from: u64, to: u64, v: u64, within_ms: u64, number: *mut u64) -> c_int;

    pub fn coppice_receive(actor: u64, wait_ms: u64, out: *mut u64) -> c_int;
    pub fn coppice_receive_answer(actor: u64, wait_ms: u64, out: *mut u64) -> c_int;
    pub fn coppice_peek(actor: u64, wait_ms: u64, out: *mut u64) -> c_int;
    pub fn coppice_descriptor(actor: u64, out: *mut c_int) -> c_int;
    pub fn coppice_mail_kind_of(mail: u64, out: *mut c_int) -> c_int;
    pub fn coppice_mail_value(mail: u64, out: *mut u64) -> c_int;
    pub fn coppice_mail_sender(mail: u64, out: *mut u64) -> c_int;
    pub fn coppice_mail_number(mail: u64, out: *mut u64) -> c_int;
    pub fn coppice_mail_code(mail: u64, out: *mut c_int) -> c_int;
    pub fn coppice_reply(request: u64, v: u64) -> c_int;
    pub fn coppice_fail(request: u64, text: *const c_char, size: usize) -> c_int;

    pub fn coppice_new_nothing(out: *mut u64) -> c_int;
    pub fn coppice_new_bool(b: c_int, out: *mut u64) -> c_int;
    pub fn coppice_new_int64(n: i64, out: *mut u64) -> c_int;
    pub fn coppice_new_uint64(n: u64, out: *mut u64) -> c_int;
    pub fn coppice_new_double(x: f64, out: *mut u64) -> c_int;
    pub fn coppice_new_text(text: *const c_char, size: usize, out: *mut u64) -> c_int;
    pub fn coppice_new_bytes(bytes: *const c_void, size: usize, out: *mut u64) -> c_int;
    pub fn coppice_new_tagged(tag: u64, bytes: *const c_void, size: usize, out: *mut u64) -> c_int;
    pub fn coppice_new_ref(to: u64, out: *mut u64) -> c_int;
    pub fn coppice_new_list(out: *mut u64) -> c_int;
    pub fn coppice_new_map(out: *mut u64) -> c_int;
    pub fn coppice_new_record_of(type_id: u64, out: *mut u64) -> c_int;
    pub fn coppice_add(list: u64, part: u64) -> c_int;
    pub fn coppice_put(map: u64, key: u64, mapped: u64) -> c_int;
    pub fn coppice_value_kind_of(v: u64, out: *mut c_int) -> c_int;
    pub fn coppice_get_bool(v: u64, out: *mut c_int) -> c_int;
    pub fn coppice_get_int64(v: u64, out: *mut i64) -> c_int;
    pub fn coppice_get_uint64(v: u64, out: *mut u64) -> c_int;
    pub fn coppice_get_double(v: u64, out: *mut f64) -> c_int;
    pub fn coppice_get_text(v: u64, text: *mut *const c_char, size: *mut usize) -> c_int;
    pub fn coppice_get_bytes(v: u64, bytes: *mut *const c_void, size: *mut usize) -> c_int;
    pub fn coppice_get_tagged(v: u64, tag: *mut u64, bytes: *mut *const c_void, size: *mut usize) -> c_int;
    pub fn coppice_get_ref(v: u64, out: *mut u64) -> c_int;
    pub fn coppice_value_size(v: u64, out: *mut usize) -> c_int;
    pub fn coppice_value_at(v: u64, index: usize, out: *mut u64) -> c_int;
    pub fn coppice_value_key(map: u64, index: usize, out: *mut u64) -> c_int;
    pub fn coppice_value_type(v: u64, out: *mut u64) -> c_int;
    pub fn coppice_type_id(type_name: *const c_char) -> u64;

    pub fn coppice_join(actor: u64, group: *const c_char) -> c_int;
    pub fn coppice_leave(actor: u64, group: *const c_char) -> c_int;
    pub fn coppice_publish(from: u64, group: *const c_char, v: u64, members: *mut usize) -> c_int;
    pub fn coppice_monitor(actor: u64, who: u64, number: *mut u64) -> c_int;
    pub fn coppice_forget_monitor(actor: u64, number: u64) -> c_int;
    pub fn coppice_stop(from: u64, who: u64) -> c_int;
    pub fn coppice_shutdown(from: u64, who: u64, within_ms: u64) -> c_int;
    pub fn coppice_kill(from: u64, who: u64) -> c_int;
    pub fn coppice_log(actor: u64, level: c_int, text: *const c_char, size: usize) -> c_int;
}
