/*
 * A program in C11, for the guide docs/any_language.md and for tests: started by itself it talks to itself and prints what it
 * does; `sample client TREE PATH TEXT` says something to an actor of a tree; started by a supervisor it is a process child.
 * One thread.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coppice.h"

/* Ends the program where a call fails that cannot fail here, with the library's words. */
static void must(int code) {
    if (code == COPPICE_OK) return;
    fprintf(stderr, "%s\n", coppice_error_text());
    exit(1);
}

/* [print] */
static void print_value(coppice_value v) {
    int kind = 0;
    must(coppice_value_kind_of(v, &kind));
    if (kind == COPPICE_TEXT) {
        const char* text = NULL;
        size_t size = 0;
        must(coppice_get_text(v, &text, &size)); /* with a zero behind it; lives as long as v */
        printf("text of %zu bytes: %s\n", size, text);
    } else if (kind == COPPICE_LIST) {
        size_t size = 0;
        must(coppice_value_size(v, &size));
        for (size_t i = 0; i < size; ++i) {
            coppice_value part = 0;
            must(coppice_value_at(v, i, &part));
            print_value(part);
            must(coppice_close(part));
        }
    } else {
        char text[256];
        must(coppice_value_text(v, text, sizeof text));
        printf("%s\n", text);
    }
}
/* [/print] */

static void print_mail(coppice_mail mail) { print_value(mail); } /* what reads a value takes a mail, too */

/* [list] */
static coppice_value goods(void) {
    coppice_value list = 0, part = 0;
    must(coppice_new_list(&list));
    must(coppice_new_text("bread", COPPICE_TERMINATED, &part));
    must(coppice_add(list, part)); /* part has been given away: it is closed */
    must(coppice_new_double(2.5, &part));
    must(coppice_add(list, part));
    return list;
}
/* [/list] */

/* [handler] */
static void on_request(void* user, coppice_actor actor, coppice_mail mail) {
    int kind = 0;
    (void)actor;
    must(coppice_mail_kind_of(mail, &kind));
    ++*(int*)user;
    if (kind == COPPICE_REQUEST) must(coppice_reply_text(mail, "three", COPPICE_TERMINATED));
}
/* [/handler] */

static void talk(void) {
    /* [begin] */
    coppice_node_options options = {0};
    options.size = sizeof options;
    options.name = getenv("SAMPLE_TREE"); /* NULL: one that nobody else has */
    options.log_level = COPPICE_WARN;
    coppice_node node = 0;
    must(coppice_open_node(&options, &node));

    coppice_actor_options named = {0};
    named.size = sizeof named;
    named.name = "shop";
    coppice_actor shop = 0;
    must(coppice_open_actor(node, &named, &shop));
    /* [/begin] */

    const char* path = NULL;
    must(coppice_path(shop, &path, NULL));
    coppice_ref to = 0;
    must(coppice_find(node, path, &to));

    /* [send] */
    must(coppice_send_text(node, to, "gr\xc3\xbc\xc3\x9f dich", COPPICE_TERMINATED));
    must(coppice_send_int64(node, to, INT64_MIN));
    must(coppice_send_four(node, to, 1, 2, 3, 4));
    coppice_value list = goods();
    must(coppice_send(node, to, list, COPPICE_FOREVER)); /* waits for room; the list stays yours */
    must(coppice_close(list));
    /* [/send] */

    /* [receive] */
    for (int i = 0; i < 4; ++i) {
        coppice_mail mail = 0;
        must(coppice_receive(shop, COPPICE_FOREVER, &mail));
        print_mail(mail);
        must(coppice_close(mail));
    }
    /* [/receive] */

    must(coppice_send_bytes(node, to, "\x01\x02\x03", 3));
    /* [receive_bytes] */
    unsigned char bytes[16];
    size_t size = 0;
    must(coppice_receive_bytes(shop, COPPICE_FOREVER, bytes, sizeof bytes, &size, NULL));
    printf("%zu bytes, the last is %d\n", size, bytes[size - 1]);
    /* [/receive_bytes] */

    /* [poll] */
    int fd = -1;
    must(coppice_descriptor(shop, &fd));
    struct pollfd ready = {fd, POLLIN, 0};
    coppice_mail none = 0;
    if (poll(&ready, 1, 0) == 0 && coppice_receive(shop, 0, &none) == COPPICE_TIMEOUT) printf("no mail\n");
    /* [/poll] */

    /* [ask] */
    int calls = 0;
    must(coppice_handle_kind(shop, COPPICE_OTHERS, on_request, &calls));
    must(coppice_serve(shop));
    coppice_value question = 0, answer = 0;
    must(coppice_new_text("price of bread", COPPICE_TERMINATED, &question));
    int code = coppice_ask(node, to, question, 5000, &answer);
    if (code == COPPICE_OK) print_value(answer);
    else printf("%s: %s\n", coppice_code_name(code), coppice_error_text());
    /* [/ask] */
    must(coppice_close(question));
    must(coppice_close(answer));

    must(coppice_close(shop));
    code = coppice_send_int64(node, to, 1);
    printf("after its end: %s\n", coppice_code_name(code));
    must(coppice_close(to));
    must(coppice_close(node));
    printf("%d call, %zu handles open\n", calls, coppice_open_handles());
}

/* [child] */
static int be_child(int announce) {
    coppice_node node = 0;
    coppice_actor me = 0;
    must(coppice_open_child(announce, &node, &me));
    must(coppice_log(me, COPPICE_INFO, "open for business", COPPICE_TERMINATED));
    if (!announce) must(coppice_ready(me)); /* after what takes its time */

    coppice_mail mail = 0;
    while (coppice_receive(me, COPPICE_FOREVER, &mail) == COPPICE_OK) { /* until it is asked to stop */
        int kind = 0;
        must(coppice_mail_kind_of(mail, &kind));
        coppice_value v = 0;
        must(coppice_mail_value(mail, &v));
        const char* text = NULL;
        if (kind == COPPICE_REQUEST) must(coppice_reply_int64(mail, getpid()));
        else if (coppice_get_text(v, &text, NULL) == COPPICE_OK)
            must(coppice_give_up(me, text, COPPICE_TERMINATED));
        must(coppice_close(v));
        must(coppice_close(mail));
        if (text) break;
    }
    must(coppice_close(me));
    must(coppice_close(node));
    return coppice_exit_code();
}
/* [/child] */

/* [three_lines] */
static void say(const char* tree, const char* path, const char* text) {
    coppice_node node = 0;
    coppice_actor me = 0;
    coppice_ref to = 0;
    must(coppice_join_tree(tree, "client", &node, &me));
    must(coppice_find(me, path, &to));
    must(coppice_send_text(me, to, text, COPPICE_TERMINATED));
    /* [/three_lines] */
    coppice_value question = 0, answer = 0;
    must(coppice_new_text("all of it?", COPPICE_TERMINATED, &question));
    must(coppice_ask(me, to, question, 5000, &answer)); /* so that what was sent has been taken */
    must(coppice_close(node));
}

int main(int argc, char** argv) {
    if (coppice_check_version(COPPICE_HEADER_MAJOR, COPPICE_HEADER_MINOR) != COPPICE_OK) return 1;
    if (coppice_is_child()) return be_child(!(argc > 1 && strcmp(argv[1], "late") == 0));
    if (argc > 4 && strcmp(argv[1], "client") == 0) say(argv[2], argv[3], argv[4]);
    else talk();
    return 0;
}
