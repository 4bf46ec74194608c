/*
 * ask: requests and their answers, in C11. A shop is served by a handler, on a thread of the library's; the customer waits for
 * each answer, which always comes: a price, an error in the shop's words, or the reason why there is none.
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

/* Called with each request. It is closed when this returns: who was not answered learns that. */
static void serve(void* user, coppice_actor shop, coppice_mail request) {
    const char* wanted = NULL;
    (void)user;
    (void)shop;
    if (coppice_get_text(request, &wanted, NULL) != COPPICE_OK) return;
    if (strcmp(wanted, "tea") == 0) must(coppice_reply_int64(request, 3));
    else must(coppice_fail(request, "we only have tea", COPPICE_TERMINATED));
}

static void ask(coppice_actor customer, coppice_ref shop, coppice_value question) {
    coppice_value answer = 0;
    char asked[64];
    must(coppice_value_text(question, asked, sizeof asked));
    int code = coppice_ask(customer, shop, question, 5000, &answer);
    if (code == COPPICE_OK) {
        int64_t price = 0;
        must(coppice_get_int64(answer, &price));
        printf("%s: %d\n", asked, (int)price);
    } else if (code == COPPICE_FAILED) {
        printf("%s: failed, %s\n", asked, coppice_error_text());
    } else {
        printf("%s: %s\n", asked, coppice_code_name(code));
    }
    must(coppice_close(answer));
    must(coppice_close(question));
}

int main(void) {
    coppice_node node = 0;
    coppice_actor shop = 0, customer = 0;
    coppice_ref to = 0;
    coppice_value question = 0;
    must(coppice_open_node(NULL, &node));
    must(coppice_open_actor(node, NULL, &shop));
    must(coppice_open_actor(node, NULL, &customer));
    must(coppice_self(shop, &to));
    must(coppice_handle_kind(shop, COPPICE_OTHERS, serve, NULL));
    must(coppice_serve(shop));

    must(coppice_new_text("tea", COPPICE_TERMINATED, &question));
    ask(customer, to, question);
    must(coppice_new_text("coffee", COPPICE_TERMINATED, &question));
    ask(customer, to, question);
    must(coppice_new_int64(7, &question));
    ask(customer, to, question);

    must(coppice_close(shop));
    must(coppice_new_text("tea", COPPICE_TERMINATED, &question));
    ask(customer, to, question);

    must(coppice_close(to));
    must(coppice_close(customer));
    must(coppice_close(node));
    return 0;
}
