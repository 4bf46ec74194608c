/*
 * coppice.h: Coppice for every language that can call C. One header, C11 and C++.
 *
 * GLOSSARY
 *   tree       Processes and actors under one root, each with a path: /app/shop/till.
 *   node       This process's part in a tree. It runs in threads of its own and needs no event loop of yours.
 *   actor      A mailbox of this process, with a name in the tree. Who has its path or a ref to it can send to it.
 *   ref        Leads to an actor, wherever it runs. It stays good when the actor is restarted.
 *   value      What is sent: nothing, a boolean, an integer, a real number, text, bytes, a list, a record, a map, a ref, or
 *              a tagged value: bytes of any encoding of yours, with a number that says which.
 *   mail       What an actor receives: a message, a request (whose sender waits for your reply), an answer to a request of
 *              yours, the news that a monitored actor has ended, or that you are asked to stop.
 *   handle     A number that stands for one of these here. 0 is none. A handle that was closed, or is of another kind, is an
 *              error that is told (COPPICE_CLOSED, COPPICE_INVALID_ARGUMENT), never a crash.
 *
 * OVERVIEW
 *
 *     your threads                              the library                                        the tree
 *   ┌────────────────┐   coppice_send_*   ┌───────────────────────┐
 *   │ any thread,    │───────────────────►│ node: its own threads │── link (unix, shm, tcp, tls, pipe) ──► other
 *   │ any call       │   coppice_ask      │                       │                                        actors
 *   │                │◄───────────────────│  ┌─────────────────┐  │◄──────────────────────────────────────
 *   │                │  coppice_receive   │  │ mailbox of your │  │
 *   │ poll()/epoll   │◄─ descriptor ──────│  │ actor (bounded) │  │   a full mailbox is told to senders
 *   │ GUI, asyncio   │                    │  └────────┬────────┘  │
 *   └────────────────┘                    │  handlers on a thread │   coppice_serve
 *                                         └───────────────────────┘
 *
 *     coppice_node node; coppice_actor me; coppice_ref shop;            // three lines to say hello
 *     coppice_join_tree("app", "till", &node, &me);
 *     coppice_find(me, "/app/shop", &shop);
 *     coppice_send_text(me, shop, "hello", COPPICE_TERMINATED);
 *
 * RULES
 *   - Each function returns COPPICE_OK (0) or a code of the one table (docs/errors.md). After another one,
 *     coppice_error_text() has the reason in words, on this thread, and coppice_error_text_of() for that handle. What
 *     it was to put into *out is then 0.
 *   - Every function may be called from any thread. A thread that waits for mail or an answer does the node's
 *     work meanwhile. A call that blocks has a time limit in milliseconds: 0 returns at once,
 *     COPPICE_FOREVER waits. It returns COPPICE_STOPPING when the node ends.
 *   - Texts are UTF-8, with a length; COPPICE_TERMINATED takes it from the terminating zero. What is no UTF-8 is refused
 *     (COPPICE_INVALID_ARGUMENT); what other programs send is given as it came. Bytes may hold anything.
 *   - What a function puts into *out is yours, and is closed by coppice_close. Pointers to texts and bytes of a value live as
 *     long as any handle of that value.
 *   - In a process that fork() made after the first node was opened, each call returns COPPICE_INVALID_ARGUMENT: nodes
 *     have threads, which fork() does not copy. exec() makes a process like any other.
 *   - No C++ exception and no signal handler of the library's leaves it.
 */
#ifndef COPPICE_H
#define COPPICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_MSC_VER)
#define COPPICE_API
#else
#define COPPICE_API __attribute__((visibility("default")))
#endif

/* ------------------------------------------------------------------------------------------------ version */

/* Of this header. The library's minor version may be higher, not lower; the major one is the same. */
#define COPPICE_HEADER_MAJOR 1
#define COPPICE_HEADER_MINOR 2

/* major * 65536 + minor of the library that is loaded. */
COPPICE_API uint32_t coppice_version(void);
/* COPPICE_WRONG_VERSION if the library cannot serve a program that was compiled with that header. */
COPPICE_API int coppice_check_version(uint32_t header_major, uint32_t header_minor);

/* ------------------------------------------------------------------------------------------------ codes */

/* The numbers of docs/errors.md, the same in C++, on the wire and here; never reused. Functions return them as int. */
enum coppice_code {
    COPPICE_OK = 0,
    COPPICE_TIMEOUT = 1,
    COPPICE_DOWN = 2,
    COPPICE_MAILBOX_FULL = 3,
    COPPICE_UNREACHABLE = 4,
    COPPICE_DENIED = 5,
    COPPICE_NO_HANDLER = 6,
    COPPICE_NO_REPLY = 7,
    COPPICE_DEADLOCK = 8,
    COPPICE_CANCELLED = 9,
    COPPICE_NOT_FOUND = 10,
    COPPICE_NAME_TAKEN = 11,
    COPPICE_BAD_NAME = 12,
    COPPICE_WRONG_PROTOCOL = 13,
    COPPICE_START_FAILED = 14,
    COPPICE_LIMIT_REACHED = 15,
    COPPICE_PRIORITY_REFUSED = 16,
    COPPICE_STOPPING = 17,
    COPPICE_FAILED = 18,
    COPPICE_INVALID_ARGUMENT = 19,
    COPPICE_IO = 20,
    COPPICE_CLOSED = 21,
    COPPICE_NODE_LOST = 22,
    COPPICE_OUTCOME_UNKNOWN = 23,
    COPPICE_NAME_REFUSED = 24,
    COPPICE_WRONG_SECRET = 25,
    COPPICE_WRONG_VERSION = 26,
    COPPICE_NOT_PORTABLE = 27,
    COPPICE_BAD_MESSAGE = 28,
    COPPICE_TOO_LARGE = 29
};

/* The code's name, "mailbox_full". Lives as long as the library. */
COPPICE_API const char* coppice_code_name(int code);
/* Why the last call of this thread that failed did so, in words; "" before. Until the next failing call of this thread. */
COPPICE_API const char* coppice_error_text(void);

/* ------------------------------------------------------------------------------------------------ handles */

typedef uint64_t coppice_handle; /* any of those below */
typedef coppice_handle coppice_node;
typedef coppice_handle coppice_actor;
typedef coppice_handle coppice_ref;
typedef coppice_handle coppice_mail;
typedef coppice_handle coppice_value;

/* Gives a handle back; 0 is allowed. Of an actor: it ends, its name is free, and calls that wait for its mail return
 * COPPICE_STOPPING; mail that nobody took becomes dead letters. Waits for a handler that runs, but for the one that it is called
 * in. Of a node: its actors end, and it leaves its tree; waits for that, and for what was sent to come to the nodes that it was
 * sent to, for `linger_ms` at most: then COPPICE_OUTCOME_UNKNOWN, whose text says how much has not, and for whom. It is closed all
 * the same. Of a request that has no reply yet: its sender gets COPPICE_NO_REPLY. */
COPPICE_API int coppice_close(coppice_handle handle);
/* As coppice_error_text, for the last failing call of this thread that was given this handle first; of the last 16 handles. */
COPPICE_API const char* coppice_error_text_of(coppice_handle handle);
/* Handles that are open in this process; for tests of leaks. */
COPPICE_API size_t coppice_open_handles(void);

#define COPPICE_FOREVER UINT64_MAX
#define COPPICE_TERMINATED SIZE_MAX

/* ------------------------------------------------------------------------------------------------ nodes and actors */

/* Set to zero, then `size` to sizeof: what a newer library knows beyond that has its default. */
typedef struct coppice_node_options {
    size_t size;
    const char* name; /* of the node; NULL: one that nobody else has */
    const char*
        tree; /* joins the tree of that name on this machine, of this user, that runs with control on */
    const char* parent;      /* or: joins at this endpoint, "tcp://host:4711?..." */
    const char* listen;      /* where others can join below it; several with commas; NULL: nowhere */
    const char* secret_file; /* both sides prove that they know what is in it */
    const char* secret_env;  /* the same, from a variable of the environment */
    uint64_t hold_ms;        /* how long the tree may be out of reach before it counts as lost; 0: 60,000 */
    uint64_t join_ms;        /* time limit for joining; 0: 5,000, and no less */
    int32_t log_level;       /* of coppice_level; 0: info. What is logged goes to standard error */
    uint64_t linger_ms; /* since 1.1: how long coppice_close waits for what was sent to arrive; 0: 2,000 */
} coppice_node_options;

/* A node that joins a tree, or begins one if neither tree nor parent is given: one with a name can then be joined by it.
 * Returns when it has joined. COPPICE_NOT_FOUND: no such tree runs. COPPICE_UNREACHABLE: nobody is there.
 * COPPICE_NAME_TAKEN, _NAME_REFUSED, _WRONG_SECRET, _WRONG_VERSION: as they say. Signals are left to the program. */
COPPICE_API int coppice_open_node(const coppice_node_options* options, coppice_node* out);
/* The same for runtimes that make their next call on another thread (pools, goroutines): the text of an error is also put into
 * `text`, at most `room` bytes with the terminating zero; "" without an error. */
COPPICE_API int coppice_open_node_telling(const coppice_node_options* options, coppice_node* out, char* text,
                                          size_t room);

typedef struct coppice_actor_options {
    size_t size;
    const char* name;   /* its path is /NODE/NAME; NULL: one that nobody else has */
    uint32_t mailbox;   /* messages that may wait in it; 0: 65,536 */
    int32_t stops_node; /* not 0: when it ends, so does the node */
} coppice_actor_options;

/* An actor of this process. COPPICE_NAME_TAKEN, COPPICE_BAD_NAME. */
COPPICE_API int coppice_open_actor(coppice_node node, const coppice_actor_options* options,
                                   coppice_actor* out);
/* Both with all defaults: joins that tree of this machine under a name of its own, with an actor of that name. */
COPPICE_API int coppice_join_tree(const char* tree, const char* actor_name, coppice_node* node,
                                  coppice_actor* actor);

/* Since 1.1. Waits until all that this thread has sent by the node or its actors has come to the nodes that it was sent to, which an
 * answer would say, too. COPPICE_TIMEOUT: the text says how much has not, and for whom. */
COPPICE_API int coppice_flush(coppice_node node, uint64_t wait_ms);

/* 1 if this process was started by a supervisor of a Coppice tree and has not taken its place yet, else 0. */
COPPICE_API int coppice_is_child(void);
/* Takes that place: the actor is the supervisor's child, at the path it gave it. Heartbeats, the log and the end of the
 * parent are served by the library. The child counts as started when this returns, or with `announce` 0 when coppice_ready
 * is called. SIGTERM asks the actor to end, SIGINT is left to the root of the tree. When the actor's handle is closed, the
 * node ends; leave main soon after, with coppice_exit_code. Once in a process. COPPICE_NOT_FOUND: it is no child. */
COPPICE_API int coppice_open_child(int announce, coppice_node* node, coppice_actor* actor);
COPPICE_API int coppice_ready(coppice_actor actor);
/* Says that the actor ends in failure, with that text as its reason. Then close it, and its node, which tells it. */
COPPICE_API int coppice_give_up(coppice_actor actor, const char* text, size_t size);
/* What a process child's main should return once its actor is closed: waits until its node has ended. 0 if it is no child. */
COPPICE_API int coppice_exit_code(void);

/* Its path, "/app/shop". Lives until the handle is closed. */
COPPICE_API int coppice_path(coppice_actor actor, const char** text, size_t* size);

/* ------------------------------------------------------------------------------------------------ refs */

/* The actor of that path, waited for for up to 5 s if it is on another node. COPPICE_NOT_FOUND: that node has no such actor.
 * COPPICE_UNREACHABLE: no link leads to that node. `from` is an actor or a node. */
COPPICE_API int coppice_find(coppice_handle from, const char* path, coppice_ref* out);
/* The same without waiting: the outcome comes as mail of kind COPPICE_ANSWER with that number, whose coppice_mail_sender is the
 * actor that was found. */
COPPICE_API int coppice_find_later(coppice_actor from, const char* path, uint64_t* number);
/* A ref to an actor of this process. */
COPPICE_API int coppice_self(coppice_actor actor, coppice_ref* out);
/* As text, for people; at most `room` bytes with the terminating zero. */
COPPICE_API int coppice_ref_text(coppice_ref ref, char* text, size_t room);
/* COPPICE_OK if both lead to the same actor, else COPPICE_NOT_FOUND. */
COPPICE_API int coppice_same(coppice_ref a, coppice_ref b);

/* ------------------------------------------------------------------------------------------------ send in one call
 * `from` is an actor, which is the sender, or a node, and then nobody is. COPPICE_OK: it is on its way, and
 * waits where others take its room before it comes there. COPPICE_MAILBOX_FULL: it is not; the receiver has no room, or 65,536
 * messages are under way to it. COPPICE_STOPPING, COPPICE_DOWN, COPPICE_UNREACHABLE, COPPICE_NODE_LOST: it is not, as far as can
 * be told here. What one thread sends to one actor arrives in that order, with or without a wait; an ask may overtake
 * what waits for room. */

COPPICE_API int coppice_send_nothing(coppice_handle from, coppice_ref to);
COPPICE_API int coppice_send_bool(coppice_handle from, coppice_ref to, int b);
COPPICE_API int coppice_send_int32(coppice_handle from, coppice_ref to, int32_t n);
COPPICE_API int coppice_send_int64(coppice_handle from, coppice_ref to, int64_t n);
COPPICE_API int coppice_send_uint64(coppice_handle from, coppice_ref to, uint64_t n);
COPPICE_API int coppice_send_double(coppice_handle from, coppice_ref to, double x);
COPPICE_API int coppice_send_text(coppice_handle from, coppice_ref to, const char* text, size_t size);
COPPICE_API int coppice_send_bytes(coppice_handle from, coppice_ref to, const void* bytes, size_t size);
/* Records of two and of four integers, and of an integer and a text. */
COPPICE_API int coppice_send_pair(coppice_handle from, coppice_ref to, int64_t x, int64_t y);
COPPICE_API int coppice_send_four(coppice_handle from, coppice_ref to, int64_t a, int64_t b, int64_t c,
                                  int64_t d);
COPPICE_API int coppice_send_int_text(coppice_handle from, coppice_ref to, int64_t n, const char* text,
                                      size_t size);
/* Bytes of an encoding of yours (Protocol Buffers, JSON, ...), with a number that says which; they arrive untouched. C++
 * actors send and take them as coppice::tagged. */
COPPICE_API int coppice_send_tagged(coppice_handle from, coppice_ref to, uint64_t tag, const void* bytes,
                                    size_t size);
/* Any value. It stays yours. With `wait_ms`, waits for room in the receiver's mailbox for so long: COPPICE_TIMEOUT, and it is not
 * sent. */
COPPICE_API int coppice_send(coppice_handle from, coppice_ref to, coppice_value v, uint64_t wait_ms);
/* The same without waiting: the outcome comes as mail of kind COPPICE_ANSWER with that number. What is sent before that may
 * overtake it, but for what is sent like it. */
COPPICE_API int coppice_send_later(coppice_actor from, coppice_ref to, coppice_value v, uint64_t wait_ms,
                                   uint64_t* number);

/* ------------------------------------------------------------------------------------------------ ask */

/* Sends a request and waits for its answer. COPPICE_FAILED: the other side answered with an error, its words are the text.
 * COPPICE_NO_HANDLER, COPPICE_NO_REPLY, COPPICE_DOWN, COPPICE_NODE_LOST: at once, not at the limit. */
COPPICE_API int coppice_ask(coppice_handle from, coppice_ref to, coppice_value v, uint64_t within_ms,
                            coppice_value* answer);
/* The same without waiting: the answer comes as mail of kind COPPICE_ANSWER with that number. */
COPPICE_API int coppice_ask_later(coppice_actor from, coppice_ref to, coppice_value v, uint64_t within_ms,
                                  uint64_t* number);

/* ------------------------------------------------------------------------------------------------ receive */

/* The next mail, in order; urgent mail first. The actor's mailbox is taken from
 * ahead: 256 mails, or a 16th of a larger mailbox, up to 4,096. COPPICE_TIMEOUT: there is
 * none in time. COPPICE_STOPPING: the actor is asked to end and there is no mail left. One thread at a time should receive. */
COPPICE_API int coppice_receive(coppice_actor actor, uint64_t wait_ms, coppice_mail* out);
/* The next mail in one call, if it is a COPPICE_MESSAGE with bytes (coppice_send_bytes) and there is room for them: they are copied
 * to `bytes`, *size of them, and the mail is closed. The sender, unless that is NULL, is a ref of yours, or 0: nobody says that it sent
 * this. COPPICE_TOO_LARGE: it has *size bytes, COPPICE_NO_HANDLER: it is another mail; it stays for another call. Else as
 * coppice_receive. */
COPPICE_API int coppice_receive_bytes(coppice_actor actor, uint64_t wait_ms, void* bytes, size_t room,
                                      size_t* size, coppice_ref* sender);
/* A mail, and what it brought if that is simple: for who would ask for each by a call of its own, which costs most in languages whose
 * calls of C are slow. */
typedef struct coppice_view {
    size_t size;       /* sizeof(coppice_view), set before */
    coppice_mail mail; /* yours to close; what is not told here is read from it */
    int32_t what;      /* coppice_mail_kind */
    int32_t kind;      /* coppice_value_kind */
    int64_t integer;   /* of COPPICE_BOOL and COPPICE_INT; of COPPICE_UINT as (int64_t) */
    double real;       /* of COPPICE_REAL */
    const void*
        bytes; /* of COPPICE_TEXT and COPPICE_BYTES: as of coppice_get_text and coppice_get_bytes, or `copy` */
    size_t length;
} coppice_view;
/* As coppice_receive. What the value does not have is 0 in *out. A text, or bytes, of at most `room` bytes are copied to `copy`, which may
 * be NULL; no zero is put behind them. */
COPPICE_API int coppice_receive_view(coppice_actor actor, uint64_t wait_ms, coppice_view* out, void* copy,
                                     size_t room);
/* The mail that coppice_receive would return, which stays where it is: the handle is the same that receive returns then. Who
 * ends without receiving it closes it; a mail that is closed before it is received is dropped, and receive goes on with the
 * next. */
COPPICE_API int coppice_peek(coppice_actor actor, uint64_t wait_ms, coppice_mail* out);
/* Readable, for poll(), while there is mail, or the actor is asked to end. Do not read from it or close it. */
COPPICE_API int coppice_descriptor(coppice_actor actor, int* out);
/* The next mail of kind COPPICE_ANSWER, also from behind other mail, which stays. As coppice_receive. */
COPPICE_API int coppice_receive_answer(coppice_actor actor, uint64_t wait_ms, coppice_mail* out);
/* For event loops that watch streams alone (libuv): a stream socket from which a byte can be read when there is something new
 * for an actor of this node, mail or being asked to end, since its mail was looked at last. The byte does not say for
 * which. At its end the node is closed. Once for a node, before its actors are looked at; it is yours to read and close(). */
COPPICE_API int coppice_stream(coppice_node node, int* out);

enum coppice_mail_kind {
    COPPICE_MESSAGE = 1,
    COPPICE_REQUEST = 2, /* the sender waits for coppice_reply */
    COPPICE_ANSWER =
        3, /* to coppice_ask_later, _send_later, _find_later: coppice_mail_number says to which, coppice_mail_code
              how it went */
    COPPICE_ENDED =
        4 /* a monitored actor has ended: coppice_mail_number; its reason, as text, is the value */
};
COPPICE_API int coppice_mail_kind_of(coppice_mail mail, int* out);
/* What was sent; the handle is yours. It is seldom needed: what reads a value takes the mail itself. */
COPPICE_API int coppice_mail_value(coppice_mail mail, coppice_value* out);
/* Who sent it; COPPICE_NOT_FOUND: nobody says so. */
COPPICE_API int coppice_mail_sender(coppice_mail mail, coppice_ref* out);
COPPICE_API int coppice_mail_number(coppice_mail mail, uint64_t* out);
/* COPPICE_OK, or why there is no answer; its text is the value then. */
COPPICE_API int coppice_mail_code(coppice_mail mail, int* out);

/* Answers a request, once, now or later, from any thread. COPPICE_CLOSED: it has been answered. */
COPPICE_API int coppice_reply(coppice_mail request, coppice_value v);
COPPICE_API int coppice_reply_text(coppice_mail request, const char* text, size_t size);
COPPICE_API int coppice_reply_int64(coppice_mail request, int64_t n);
/* Its sender gets COPPICE_FAILED with this text. */
COPPICE_API int coppice_fail(coppice_mail request, const char* text, size_t size);

/* ------------------------------------------------------------------------------------------------ handlers */

/* Called with mail, which is closed when it returns, unless it is answered later: coppice_keep. */
typedef void (*coppice_handler)(void* user, coppice_actor actor, coppice_mail mail);

/* Handles messages and requests whose value is of that kind (coppice_value_kind), or all mail that has no handler of its
 * own (COPPICE_OTHERS), answers and ends included. NULL takes the handler away. */
#define COPPICE_OTHERS (-1)
COPPICE_API int coppice_handle_kind(coppice_actor actor, int value_kind, coppice_handler handler, void* user);
/* Calls the handlers for what waits, on this thread, and waits for up to wait_ms for the first. Mail without a handler stays
 * where it is, for coppice_receive; much of it holds up what comes behind it. *handled: how many were called, at most 256;
 * NULL: not told. COPPICE_TIMEOUT, COPPICE_STOPPING: none was. */
COPPICE_API int coppice_dispatch(coppice_actor actor, uint64_t wait_ms, size_t* handled);
/* From now on the library does so, on a thread of its own, until the actor ends. */
COPPICE_API int coppice_serve(coppice_actor actor);
/* In a handler: the mail outlives it, and is yours to close. */
COPPICE_API int coppice_keep(coppice_mail mail);

/* ------------------------------------------------------------------------------------------------ values
 * Built and read by handles. A value that is part of another one has been given to it: its handle is closed. */

enum coppice_value_kind {
    COPPICE_NOTHING = 0,
    COPPICE_BOOL = 1,
    COPPICE_INT = 2,  /* within int64_t */
    COPPICE_UINT = 3, /* sent as unsigned; coppice_get_int64 reads it where it fits */
    COPPICE_REAL = 4,
    COPPICE_TEXT = 5,
    COPPICE_BYTES = 6,
    COPPICE_LIST = 7,
    COPPICE_RECORD = 8, /* fields in order; coppice_value_type says of which message type */
    COPPICE_MAP = 9,
    COPPICE_REF = 10,
    COPPICE_TAGGED =
        11 /* as a message; part of another value it comes as a record, which coppice_get_tagged reads, too */
};

COPPICE_API int coppice_new_nothing(coppice_value* out);
COPPICE_API int coppice_new_bool(int b, coppice_value* out);
COPPICE_API int coppice_new_int64(int64_t n, coppice_value* out);
COPPICE_API int coppice_new_uint64(uint64_t n, coppice_value* out);
COPPICE_API int coppice_new_double(double x, coppice_value* out);
COPPICE_API int coppice_new_text(const char* text, size_t size, coppice_value* out);
COPPICE_API int coppice_new_bytes(const void* bytes, size_t size, coppice_value* out);
COPPICE_API int coppice_new_tagged(uint64_t tag, const void* bytes, size_t size, coppice_value* out);
COPPICE_API int coppice_new_ref(coppice_ref ref, coppice_value* out);
COPPICE_API int coppice_new_list(coppice_value* out);
COPPICE_API int coppice_new_map(coppice_value* out);
/* Of a message type by its C++ name, "shop::order": it arrives at a C++ actor as that type. NULL: of none. */
COPPICE_API int coppice_new_record(const char* type_name, coppice_value* out);
/* The same by the type's id, as coppice_value_type gives it; 0: of none. */
COPPICE_API int coppice_new_record_of(uint64_t type, coppice_value* out);
/* Adds at the end of a list or record. `part` is taken, also if this fails. COPPICE_TOO_LARGE: more than 32 lists, records
 * and maps are within one another. */
COPPICE_API int coppice_add(coppice_value list, coppice_value part);
/* Adds a pair to a map. Both are taken. */
COPPICE_API int coppice_put(coppice_value map, coppice_value key, coppice_value mapped);

/* What reads a value, or sends one, takes a mail as well: then it is what the mail brought, and pointers live as long as any handle
 * of the mail. */
COPPICE_API int coppice_value_kind_of(coppice_value v, int* out);
/* COPPICE_WRONG_PROTOCOL: it is of another kind, or does not fit. */
COPPICE_API int coppice_get_bool(coppice_value v, int* out);
COPPICE_API int coppice_get_int64(coppice_value v, int64_t* out);
COPPICE_API int coppice_get_uint64(coppice_value v, uint64_t* out);
COPPICE_API int coppice_get_double(coppice_value v, double* out);
/* With a terminating zero behind it. */
COPPICE_API int coppice_get_text(coppice_value v, const char** text, size_t* size);
COPPICE_API int coppice_get_bytes(coppice_value v, const void** bytes, size_t* size);
COPPICE_API int coppice_get_tagged(coppice_value v, uint64_t* tag, const void** bytes, size_t* size);
COPPICE_API int coppice_get_ref(coppice_value v, coppice_ref* out);
/* Elements of a list, fields of a record, pairs of a map. */
COPPICE_API int coppice_value_size(coppice_value v, size_t* out);
/* One of them; of a map, its mapped value. Nothing can be added to `v` from then on. COPPICE_NOT_FOUND: there are fewer. */
COPPICE_API int coppice_value_at(coppice_value v, size_t index, coppice_value* out);
COPPICE_API int coppice_value_key(coppice_value map, size_t index, coppice_value* out);
/* The id of a record's message type; 0: none. coppice_type_id("shop::order") is that of a name. */
COPPICE_API int coppice_value_type(coppice_value v, uint64_t* out);
COPPICE_API uint64_t coppice_type_id(const char* type_name);
/* For people; at most `room` bytes with the terminating zero. */
COPPICE_API int coppice_value_text(coppice_value v, char* text, size_t room);

/* ------------------------------------------------------------------------------------------------ groups, monitors, ends, log */

/* Members of a group of this actor's node get what is published to it, but for the publisher. */
COPPICE_API int coppice_join(coppice_actor actor, const char* group);
COPPICE_API int coppice_leave(coppice_actor actor, const char* group);
/* *members: how many took it; may be NULL. */
COPPICE_API int coppice_publish(coppice_actor from, const char* group, coppice_value v, size_t* members);

/* One mail of kind COPPICE_ENDED with this number, when the actor's present life ends; at once if it has none. */
COPPICE_API int coppice_monitor(coppice_actor actor, coppice_ref who, uint64_t* number);
COPPICE_API int coppice_forget_monitor(coppice_actor actor, uint64_t number);

/* Asks an actor to end when it has handled its mail; within that time; at once. */
COPPICE_API int coppice_stop(coppice_handle from, coppice_ref who);
COPPICE_API int coppice_shutdown(coppice_handle from, coppice_ref who, uint64_t within_ms);
COPPICE_API int coppice_kill(coppice_handle from, coppice_ref who);

enum coppice_level {
    COPPICE_TRACE = 1,
    COPPICE_DEBUG = 2,
    COPPICE_INFO = 3,
    COPPICE_WARN = 4,
    COPPICE_ERROR = 5,
    COPPICE_OFF = 6
};
/* A record in the tree's log, with the actor's path. */
COPPICE_API int coppice_log(coppice_actor actor, int level, const char* text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
