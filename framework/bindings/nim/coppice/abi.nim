## The C interface (coppice.h) as Nim sees it: its types and functions, name by name. What each does is said there; programs use
## the module coppice, and this one for what that does not have.
##
## Any thread. The library is libcoppice.so.1, or what COPPICE_LIBRARY names.
import std/os

const
  headerMajor* = 1'u32
  headerMinor* = 0'u32
  foreverMs* = high(uint64)

type
  RawHandle* = uint64 ## of any kind

  NodeOptionsAbi* = object
    size*: csize_t
    name*, tree*, parent*, listen*, secretFile*, secretEnv*: cstring
    holdMs*, joinMs*: uint64
    logLevel*: int32

  ActorOptionsAbi* = object
    size*: csize_t
    name*: cstring
    mailbox*: uint32
    stopsNode*: int32

proc libraryName(): string =
  getEnv("COPPICE_LIBRARY", "libcoppice.so.1")

{.push importc, cdecl, dynlib: libraryName(), raises: [], gcsafe.}

proc coppice_check_version*(major, minor: uint32): cint
proc coppice_code_name*(code: cint): cstring
proc coppice_error_text*(): cstring
proc coppice_close*(handle: RawHandle): cint
proc coppice_open_handles*(): csize_t

proc coppice_open_node*(options: ptr NodeOptionsAbi, node: var RawHandle): cint
proc coppice_open_actor*(node: RawHandle, options: ptr ActorOptionsAbi, actor: var RawHandle): cint
proc coppice_is_child*(): cint
proc coppice_open_child*(announce: cint, node, actor: var RawHandle): cint
proc coppice_ready*(actor: RawHandle): cint
proc coppice_give_up*(actor: RawHandle, text: cstring, size: csize_t): cint
proc coppice_exit_code*(): cint
proc coppice_path*(actor: RawHandle, text: var cstring, size: var csize_t): cint

proc coppice_find*(source: RawHandle, path: cstring, target: var RawHandle): cint
proc coppice_self*(actor: RawHandle, own: var RawHandle): cint
proc coppice_ref_text*(target: RawHandle, text: cstring, room: csize_t): cint
proc coppice_same*(a, b: RawHandle): cint

proc coppice_send*(source, target, v: RawHandle, waitMs: uint64): cint
proc coppice_send_nothing*(source, target: RawHandle): cint
proc coppice_send_bool*(source, target: RawHandle, b: cint): cint
proc coppice_send_int64*(source, target: RawHandle, n: int64): cint
proc coppice_send_uint64*(source, target: RawHandle, n: uint64): cint
proc coppice_send_double*(source, target: RawHandle, x: float64): cint
proc coppice_send_text*(source, target: RawHandle, text: cstring, size: csize_t): cint
proc coppice_send_bytes*(source, target: RawHandle, bytes: pointer, size: csize_t): cint
proc coppice_send_tagged*(source, target: RawHandle, tag: uint64, bytes: pointer, size: csize_t): cint
proc coppice_ask*(source, target, v: RawHandle, withinMs: uint64, answer: var RawHandle): cint

proc coppice_receive*(actor: RawHandle, waitMs: uint64, mail: var RawHandle): cint
proc coppice_peek*(actor: RawHandle, waitMs: uint64, mail: var RawHandle): cint
proc coppice_descriptor*(actor: RawHandle, descriptor: var cint): cint
proc coppice_mail_kind_of*(mail: RawHandle, kind: var cint): cint
proc coppice_mail_value*(mail: RawHandle, v: var RawHandle): cint
proc coppice_mail_sender*(mail: RawHandle, sender: var RawHandle): cint
proc coppice_mail_number*(mail: RawHandle, number: var uint64): cint
proc coppice_reply*(request, v: RawHandle): cint
proc coppice_fail*(request: RawHandle, text: cstring, size: csize_t): cint

proc coppice_new_nothing*(v: var RawHandle): cint
proc coppice_new_bool*(b: cint, v: var RawHandle): cint
proc coppice_new_int64*(n: int64, v: var RawHandle): cint
proc coppice_new_uint64*(n: uint64, v: var RawHandle): cint
proc coppice_new_double*(x: float64, v: var RawHandle): cint
proc coppice_new_text*(text: cstring, size: csize_t, v: var RawHandle): cint
proc coppice_new_bytes*(bytes: pointer, size: csize_t, v: var RawHandle): cint
proc coppice_new_tagged*(tag: uint64, bytes: pointer, size: csize_t, v: var RawHandle): cint
proc coppice_new_ref*(target: RawHandle, v: var RawHandle): cint
proc coppice_new_list*(v: var RawHandle): cint
proc coppice_new_map*(v: var RawHandle): cint
proc coppice_new_record_of*(typeId: uint64, v: var RawHandle): cint
proc coppice_add*(list, part: RawHandle): cint
proc coppice_put*(map, key, mapped: RawHandle): cint

proc coppice_value_kind_of*(v: RawHandle, kind: var cint): cint
proc coppice_get_bool*(v: RawHandle, b: var cint): cint
proc coppice_get_int64*(v: RawHandle, n: var int64): cint
proc coppice_get_uint64*(v: RawHandle, n: var uint64): cint
proc coppice_get_double*(v: RawHandle, x: var float64): cint
proc coppice_get_text*(v: RawHandle, text: var cstring, size: var csize_t): cint
proc coppice_get_bytes*(v: RawHandle, bytes: var pointer, size: var csize_t): cint
proc coppice_get_tagged*(v: RawHandle, tag: var uint64, bytes: var pointer, size: var csize_t): cint
proc coppice_get_ref*(v: RawHandle, target: var RawHandle): cint
proc coppice_value_size*(v: RawHandle, size: var csize_t): cint
proc coppice_value_at*(v: RawHandle, index: csize_t, part: var RawHandle): cint
proc coppice_value_key*(map: RawHandle, index: csize_t, key: var RawHandle): cint
proc coppice_value_type*(v: RawHandle, typeId: var uint64): cint
proc coppice_type_id*(typeName: cstring): uint64
proc coppice_value_text*(v: RawHandle, text: cstring, room: csize_t): cint

proc coppice_join*(actor: RawHandle, group: cstring): cint
proc coppice_leave*(actor: RawHandle, group: cstring): cint
proc coppice_publish*(source: RawHandle, group: cstring, v: RawHandle, members: var csize_t): cint
proc coppice_monitor*(actor, who: RawHandle, number: var uint64): cint
proc coppice_forget_monitor*(actor: RawHandle, number: uint64): cint
proc coppice_stop*(source, who: RawHandle): cint
proc coppice_shutdown*(source, who: RawHandle, withinMs: uint64): cint
proc coppice_kill*(source, who: RawHandle): cint
proc coppice_log*(actor: RawHandle, level: cint, text: cstring, size: csize_t): cint

{.pop.}
