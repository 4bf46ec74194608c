/*
 * run_as_child: a program in C11 as the child of a supervisor, which starts it, and starts it again when it has died
 * (run_as_child_supervisor.cpp). It counts what it is sent, and tells the sum to who asks. One thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coppice.h>

static void must(int code) {
    if (code == COPPICE_OK) return;
    fprintf(stderr, "%s\n", coppice_error_text());
    exit(1);
}

int main(void) {
    if (!coppice_is_child()) {
        fprintf(
            stderr,
            "this program is started by a supervisor: child(\"counter\", in_process(\"run_as_child\"))\n");
        return 2;
    }
    coppice_node node = 0;
    coppice_actor me = 0;
    must(coppice_open_child(1, &node, &me));

    int64_t sum = 0;
    coppice_mail mail = 0;
    while (coppice_receive(me, COPPICE_FOREVER, &mail) == COPPICE_OK) { /* until it is asked to end */
        int kind = 0;
        int64_t number = 0;
        const char* text = NULL;
        must(coppice_mail_kind_of(mail, &kind));
        if (kind == COPPICE_REQUEST) must(coppice_reply_int64(mail, sum));
        else if (coppice_get_int64(mail, &number) == COPPICE_OK) sum += number;
        else if (coppice_get_text(mail, &text, NULL) == COPPICE_OK && strcmp(text, "crash") == 0) _Exit(3);
        must(coppice_close(mail));
    }
    must(coppice_close(me));
    must(coppice_close(node));
    return coppice_exit_code();
}
