/*
 * The child of languages_test.cpp in C; that file says what a child does. With the argument "echo" it gives back what it is asked.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coppice.h"

static void must(int code) {
    if (code == COPPICE_OK) return;
    fprintf(stderr, "%s: %s\n", coppice_code_name(code), coppice_error_text());
    exit(1);
}

/* ---------------------------------------------------------------- values */

static coppice_value nothing(void) {
    coppice_value v = 0;
    must(coppice_new_nothing(&v));
    return v;
}
static coppice_value boolean(int b) {
    coppice_value v = 0;
    must(coppice_new_bool(b, &v));
    return v;
}
static coppice_value integer(int64_t n) {
    coppice_value v = 0;
    must(coppice_new_int64(n, &v));
    return v;
}
static coppice_value real(double x) {
    coppice_value v = 0;
    must(coppice_new_double(x, &v));
    return v;
}
static coppice_value text_of(const char* text, size_t size) {
    coppice_value v = 0;
    must(coppice_new_text(text, size, &v));
    return v;
}
static coppice_value text(const char* terminated) { return text_of(terminated, COPPICE_TERMINATED); }
static coppice_value bytes(const void* content, size_t size) {
    coppice_value v = 0;
    must(coppice_new_bytes(content, size, &v));
    return v;
}
static coppice_value list(void) {
    coppice_value v = 0;
    must(coppice_new_list(&v));
    return v;
}
static coppice_value record(void) {
    coppice_value v = 0;
    must(coppice_new_record(NULL, &v));
    return v;
}
static coppice_value with(coppice_value whole, coppice_value part) {
    must(coppice_add(whole, part));
    return whole;
}
static coppice_value map(void) {
    coppice_value v = 0;
    must(coppice_new_map(&v));
    return v;
}
static coppice_value own_ref(coppice_actor me) {
    coppice_ref self = 0;
    coppice_value v = 0;
    must(coppice_self(me, &self));
    must(coppice_new_ref(self, &v));
    must(coppice_close(self));
    return v;
}

enum { number_of_values = 26 };

/* The value of that number, new. `large`: bytes of the large ones. */
static coppice_value value_number(int number, coppice_actor me, size_t large) {
    coppice_value v = 0;
    char* all = NULL;
    switch (number) {
    case 0: return nothing();
    case 1: return boolean(1);
    case 2: return boolean(0);
    case 3: return integer(0);
    case 4: return integer(-1);
    case 5: return integer(INT64_MAX);
    case 6: return integer(INT64_MIN);
    case 7: must(coppice_new_uint64(UINT64_MAX, &v)); return v;
    case 8: return real(0.5);
    case 9: return real(-INFINITY);
    case 10: return real(NAN);
    case 11: return real(5e-324);
    case 12: return text("");
    case 13: return text_of("with a zero \0 inside", 20);
    case 14: return text("four bytes: \xf0\x9d\x84\x9e");
    case 15:
    case 16:
        all = malloc(large + 1);
        if (!all) exit(1);
        memset(all, number == 15 ? 'x' : 0xAB, large);
        v = number == 15 ? text_of(all, large) : bytes(all, large);
        free(all);
        return v;
    case 17: return bytes("", 0);
    case 18: return bytes("\0\xff", 2);
    case 19: return list();
    case 20: return with(with(list(), integer(1)), with(with(list(), text("two")), nothing()));
    case 21: return map();
    case 22:
        v = map();
        must(coppice_put(v, text("price"), real(2.5)));
        must(coppice_put(v, integer(7), with(list(), boolean(1))));
        return v;
    case 23: return own_ref(me);
    case 24: return with(with(record(), integer(1)), text("x"));
    default: must(coppice_new_tagged(UINT64_MAX, "\0{}", 3, &v)); return v;
    }
}

static int same(coppice_value a, coppice_value b);

static int same_parts(coppice_value a, coppice_value b, int (*part)(coppice_value, size_t, coppice_value*)) {
    size_t size = 0, other = 0;
    must(coppice_value_size(a, &size));
    must(coppice_value_size(b, &other));
    int equal = size == other;
    for (size_t i = 0; equal && i < size; ++i) {
        coppice_value x = 0, y = 0;
        must(part(a, i, &x));
        must(part(b, i, &y));
        equal = same(x, y);
        must(coppice_close(x));
        must(coppice_close(y));
    }
    return equal;
}

static int same_bytes(const void* a, size_t size, const void* b, size_t other) {
    return size == other && memcmp(a, b, size) == 0;
}

static int same(coppice_value a, coppice_value b) {
    int kind = 0, other = 0, p = 0, q = 0;
    const void *x = NULL, *y = NULL;
    const char *s = NULL, *t = NULL;
    size_t n = 0, m = 0;
    must(coppice_value_kind_of(a, &kind));
    must(coppice_value_kind_of(b, &other));
    if (kind == COPPICE_TAGGED) { /* as part of another value it has come back as a record */
        uint64_t tag = 0, told = 0;
        must(coppice_get_tagged(a, &tag, &x, &n));
        return coppice_get_tagged(b, &told, &y, &m) == COPPICE_OK && tag == told && same_bytes(x, n, y, m);
    }
    if (kind != other) return 0;
    switch (kind) {
    case COPPICE_NOTHING: return 1;
    case COPPICE_BOOL:
        must(coppice_get_bool(a, &p));
        must(coppice_get_bool(b, &q));
        return p == q;
    case COPPICE_INT: {
        int64_t i = 0, j = 0;
        must(coppice_get_int64(a, &i));
        must(coppice_get_int64(b, &j));
        return i == j;
    }
    case COPPICE_UINT: {
        uint64_t i = 0, j = 0;
        must(coppice_get_uint64(a, &i));
        must(coppice_get_uint64(b, &j));
        return i == j;
    }
    case COPPICE_REAL: {
        double i = 0, j = 0;
        must(coppice_get_double(a, &i));
        must(coppice_get_double(b, &j));
        return isnan(i) ? isnan(j) : i >= j && i <= j;
    }
    case COPPICE_TEXT:
        must(coppice_get_text(a, &s, &n));
        must(coppice_get_text(b, &t, &m));
        return same_bytes(s, n, t, m);
    case COPPICE_BYTES:
        must(coppice_get_bytes(a, &x, &n));
        must(coppice_get_bytes(b, &y, &m));
        return same_bytes(x, n, y, m);
    case COPPICE_LIST:
    case COPPICE_RECORD: return same_parts(a, b, coppice_value_at);
    case COPPICE_MAP: return same_parts(a, b, coppice_value_key) && same_parts(a, b, coppice_value_at);
    case COPPICE_REF: {
        coppice_ref r = 0, to = 0;
        must(coppice_get_ref(a, &r));
        must(coppice_get_ref(b, &to));
        const int equal = coppice_same(r, to) == COPPICE_OK;
        must(coppice_close(r));
        must(coppice_close(to));
        return equal;
    }
    default: return 0;
    }
}

/* ---------------------------------------------------------------- what a child does */

/* Asks that actor for every value; a list of what did not come back as it was sent. */
static coppice_value ask_for_all(coppice_actor me, const char* path, size_t large) {
    coppice_value wrong = list();
    coppice_ref to = 0;
    must(coppice_find(me, path, &to));
    for (int number = 0; number < number_of_values; ++number) {
        coppice_value sent = value_number(number, me, large), question = 0, answer = 0;
        question = with(record(), value_number(number, me, large));
        const int code = coppice_ask(me, to, question, 60000, &answer);
        if (code != COPPICE_OK || !same(sent, answer)) {
            char said[200], whole[300];
            must(coppice_value_text(sent, said, sizeof said));
            snprintf(whole, sizeof whole, "%s: %s", said,
                     code == COPPICE_OK ? "another value" : coppice_error_text());
            must(coppice_add(wrong, text(whole)));
        }
        must(coppice_close(sent));
        must(coppice_close(question));
        must(coppice_close(answer));
    }
    must(coppice_close(to));
    return wrong;
}

static void answer(coppice_actor me, coppice_mail mail, coppice_value asked) {
    size_t fields = 0;
    coppice_value first = 0, second = 0, all = 0;
    must(coppice_value_size(asked, &fields));
    if (fields == 0) {
        must(coppice_reply_int64(mail, getpid()));
        return;
    }
    must(coppice_value_at(asked, 0, &first));
    if (fields == 1) {
        must(coppice_reply(mail, first));
    } else {
        const char* path = NULL;
        int64_t large = 0;
        must(coppice_value_at(asked, 1, &second));
        must(coppice_get_text(first, &path, NULL));
        must(coppice_get_int64(second, &large));
        all = ask_for_all(me, path, (size_t)large);
        must(coppice_reply(mail, all));
    }
    must(coppice_close(first));
    must(coppice_close(second));
    must(coppice_close(all));
}

int main(int argc, char** argv) {
    const int only_echo = argc > 1 && strcmp(argv[1], "echo") == 0;
    coppice_node node = 0;
    coppice_actor me = 0;
    coppice_mail mail = 0;
    must(coppice_open_child(1, &node, &me));
    int failed = 0;
    while (!failed && coppice_receive(me, COPPICE_FOREVER, &mail) == COPPICE_OK) {
        int kind = 0;
        const char* reason = NULL;
        coppice_value v = 0;
        must(coppice_mail_kind_of(mail, &kind));
        must(coppice_mail_value(mail, &v));
        if (kind == COPPICE_REQUEST && only_echo) {
            must(coppice_reply(mail, v));
        } else if (kind == COPPICE_REQUEST) {
            answer(me, mail, v);
        } else if (!only_echo) {
            must(coppice_get_text(v, &reason, NULL));
            must(coppice_give_up(me, reason, COPPICE_TERMINATED));
            failed = 1;
        }
        must(coppice_close(v));
        must(coppice_close(mail));
    }
    must(coppice_close(me));
    must(coppice_close(node));
    if (failed) _exit(7); /* the reason has been told */
    return coppice_exit_code();
}
