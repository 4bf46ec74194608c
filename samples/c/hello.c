/*
 * hello: a node, an actor, and a message to it, in C11.
 *
 * The program begins a tree of its own. With coppice_join_tree in place of coppice_open_node it would be a guest in one that runs,
 * and everything else would stay as it is. One thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include <coppice.h>

/* Ends the program where a call fails that cannot fail here, with the library's words. */
static void must(int code) {
    if (code == COPPICE_OK) return;
    fprintf(stderr, "%s\n", coppice_error_text());
    exit(1);
}

int main(void) {
    coppice_node node = 0;
    coppice_actor greeter = 0;
    coppice_ref to = 0;
    must(coppice_open_node(NULL, &node));
    must(coppice_open_actor(node, NULL, &greeter));
    must(coppice_self(greeter, &to));

    must(coppice_send_text(node, to, "hello", COPPICE_TERMINATED));
    must(coppice_send_int64(node, to, 42));

    coppice_mail mail = 0;
    must(coppice_receive(greeter, COPPICE_FOREVER, &mail));
    const char* text = NULL;
    must(coppice_get_text(mail, &text, NULL)); /* what reads a value takes a mail, too */
    printf("a text: %s\n", text);
    must(coppice_close(mail));

    must(coppice_receive(greeter, COPPICE_FOREVER, &mail));
    int code = coppice_get_text(mail, &text, NULL);
    printf("no text: %s\n", coppice_code_name(code));
    int64_t number = 0;
    must(coppice_get_int64(mail, &number));
    printf("a number: %d\n", (int)number);
    must(coppice_close(mail));

    must(coppice_close(to));
    must(coppice_close(greeter));
    must(coppice_close(node)); /* waits until what was sent has come to where it was sent */
    return 0;
}
