// The C interface (coppice.h) as Pascal sees it: its types and functions, name by name. What each does is said there; programs
// use the unit coppice, and this one for what that does not have.
//
// Any thread. Who links it also links libc, whose start and end the library's C++ needs.
unit coppiceabi;

{$mode objfpc}{$H+}
{$linklib c}

interface

uses
  ctypes;

const
  LibCoppice = 'coppice';
  CoppiceHeaderMajor = 1;
  CoppiceHeaderMinor = 0;
  CoppiceForever = High(cuint64);

type
{$packrecords c}
  THandle = cuint64; // of any kind
  PHandle = ^THandle;

  TAbiNodeOptions = record
    size: csize_t;
    name, tree, parent, listen, secret_file, secret_env: PAnsiChar;
    hold_ms, join_ms: cuint64;
    log_level: cint32;
  end;
  PAbiNodeOptions = ^TAbiNodeOptions;

  TAbiActorOptions = record
    size: csize_t;
    name: PAnsiChar;
    mailbox: cuint32;
    stops_node: cint32;
  end;
  PAbiActorOptions = ^TAbiActorOptions;

{$push}{$calling cdecl}

function coppice_check_version(major, minor: cuint32): cint; external LibCoppice;
function coppice_code_name(code: cint): PAnsiChar; external LibCoppice;
function coppice_error_text: PAnsiChar; external LibCoppice;
function coppice_close(handle: THandle): cint; external LibCoppice;
function coppice_open_handles: csize_t; external LibCoppice;

function coppice_open_node(options: PAbiNodeOptions; out node: THandle): cint; external LibCoppice;
function coppice_open_actor(node: THandle; options: PAbiActorOptions; out actor: THandle): cint; external LibCoppice;
function coppice_is_child: cint; external LibCoppice;
function coppice_open_child(announce: cint; out node, actor: THandle): cint; external LibCoppice;
function coppice_ready(actor: THandle): cint; external LibCoppice;
function coppice_give_up(actor: THandle; text: PAnsiChar; size: csize_t): cint; external LibCoppice;
function coppice_exit_code: cint; external LibCoppice;
function coppice_path(actor: THandle; out text: PAnsiChar; out size: csize_t): cint; external LibCoppice;

function coppice_find(from: THandle; path: PAnsiChar; out ref: THandle): cint; external LibCoppice;
function coppice_self(actor: THandle; out ref: THandle): cint; external LibCoppice;
function coppice_ref_text(ref: THandle; text: PAnsiChar; room: csize_t): cint; external LibCoppice;
function coppice_same(a, b: THandle): cint; external LibCoppice;

function coppice_send(from, to_: THandle; v: THandle; wait_ms: cuint64): cint; external LibCoppice;
function coppice_send_nothing(from, to_: THandle): cint; external LibCoppice;
function coppice_send_bool(from, to_: THandle; b: cint): cint; external LibCoppice;
function coppice_send_int64(from, to_: THandle; n: cint64): cint; external LibCoppice;
function coppice_send_uint64(from, to_: THandle; n: cuint64): cint; external LibCoppice;
function coppice_send_double(from, to_: THandle; x: cdouble): cint; external LibCoppice;
function coppice_send_text(from, to_: THandle; text: PAnsiChar; size: csize_t): cint; external LibCoppice;
function coppice_send_bytes(from, to_: THandle; bytes: Pointer; size: csize_t): cint; external LibCoppice;
function coppice_send_tagged(from, to_: THandle; tag: cuint64; bytes: Pointer; size: csize_t): cint; external LibCoppice;
function coppice_ask(from, to_: THandle; v: THandle; within_ms: cuint64; out answer: THandle): cint; external LibCoppice;

function coppice_receive(actor: THandle; wait_ms: cuint64; out mail: THandle): cint; external LibCoppice;
function coppice_peek(actor: THandle; wait_ms: cuint64; out mail: THandle): cint; external LibCoppice;
function coppice_descriptor(actor: THandle; out descriptor: cint): cint; external LibCoppice;
function coppice_mail_kind_of(mail: THandle; out kind: cint): cint; external LibCoppice;
function coppice_mail_value(mail: THandle; out v: THandle): cint; external LibCoppice;
function coppice_mail_sender(mail: THandle; out ref: THandle): cint; external LibCoppice;
function coppice_mail_number(mail: THandle; out number: cuint64): cint; external LibCoppice;
function coppice_reply(request, v: THandle): cint; external LibCoppice;
function coppice_fail(request: THandle; text: PAnsiChar; size: csize_t): cint; external LibCoppice;

function coppice_new_nothing(out v: THandle): cint; external LibCoppice;
function coppice_new_bool(b: cint; out v: THandle): cint; external LibCoppice;
function coppice_new_int64(n: cint64; out v: THandle): cint; external LibCoppice;
function coppice_new_uint64(n: cuint64; out v: THandle): cint; external LibCoppice;
function coppice_new_double(x: cdouble; out v: THandle): cint; external LibCoppice;
function coppice_new_text(text: PAnsiChar; size: csize_t; out v: THandle): cint; external LibCoppice;
function coppice_new_bytes(bytes: Pointer; size: csize_t; out v: THandle): cint; external LibCoppice;
function coppice_new_tagged(tag: cuint64; bytes: Pointer; size: csize_t; out v: THandle): cint; external LibCoppice;
function coppice_new_ref(ref: THandle; out v: THandle): cint; external LibCoppice;
function coppice_new_list(out v: THandle): cint; external LibCoppice;
function coppice_new_map(out v: THandle): cint; external LibCoppice;
function coppice_new_record_of(type_: cuint64; out v: THandle): cint; external LibCoppice;
function coppice_add(list, part: THandle): cint; external LibCoppice;
function coppice_put(map, key, mapped: THandle): cint; external LibCoppice;

function coppice_value_kind_of(v: THandle; out kind: cint): cint; external LibCoppice;
function coppice_get_bool(v: THandle; out b: cint): cint; external LibCoppice;
function coppice_get_int64(v: THandle; out n: cint64): cint; external LibCoppice;
function coppice_get_uint64(v: THandle; out n: cuint64): cint; external LibCoppice;
function coppice_get_double(v: THandle; out x: cdouble): cint; external LibCoppice;
function coppice_get_text(v: THandle; out text: PAnsiChar; out size: csize_t): cint; external LibCoppice;
function coppice_get_bytes(v: THandle; out bytes: Pointer; out size: csize_t): cint; external LibCoppice;
function coppice_get_tagged(v: THandle; out tag: cuint64; out bytes: Pointer; out size: csize_t): cint;
  external LibCoppice;
function coppice_get_ref(v: THandle; out ref: THandle): cint; external LibCoppice;
function coppice_value_size(v: THandle; out size: csize_t): cint; external LibCoppice;
function coppice_value_at(v: THandle; index: csize_t; out part: THandle): cint; external LibCoppice;
function coppice_value_key(map: THandle; index: csize_t; out key: THandle): cint; external LibCoppice;
function coppice_value_type(v: THandle; out type_: cuint64): cint; external LibCoppice;
function coppice_type_id(type_name: PAnsiChar): cuint64; external LibCoppice;
function coppice_value_text(v: THandle; text: PAnsiChar; room: csize_t): cint; external LibCoppice;

function coppice_join(actor: THandle; group: PAnsiChar): cint; external LibCoppice;
function coppice_leave(actor: THandle; group: PAnsiChar): cint; external LibCoppice;
function coppice_publish(from: THandle; group: PAnsiChar; v: THandle; out members: csize_t): cint; external LibCoppice;
function coppice_monitor(actor, who: THandle; out number: cuint64): cint; external LibCoppice;
function coppice_forget_monitor(actor: THandle; number: cuint64): cint; external LibCoppice;
function coppice_stop(from, who: THandle): cint; external LibCoppice;
function coppice_shutdown(from, who: THandle; within_ms: cuint64): cint; external LibCoppice;
function coppice_kill(from, who: THandle): cint; external LibCoppice;
function coppice_log(actor: THandle; level: cint; text: PAnsiChar; size: csize_t): cint; external LibCoppice;

{$pop}

implementation

end.
