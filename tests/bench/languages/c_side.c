/*
 * The C interface's side of suite languages; languages.py says what a side does. One thread beside those of the library.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "coppice.h"

enum { size = 64, burst = 64, most_samples = 1 << 22 };

static coppice_node node;
static coppice_actor me;
static coppice_ref other;
static uint32_t samples[most_samples]; /* ns */

static void must(int code) {
    if (code == COPPICE_OK) return;
    fprintf(stderr, "%s: %s\n", coppice_code_name(code), coppice_error_text());
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void begin(const char* name, const char* parent, const char* listen) {
    coppice_node_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.name = name;
    options.parent = parent;
    options.listen = listen;
    options.log_level = COPPICE_WARN;
    must(coppice_open_node(&options, &node));
    coppice_actor_options of_actor;
    memset(&of_actor, 0, sizeof of_actor);
    of_actor.size = sizeof of_actor;
    of_actor.name = "end";
    must(coppice_open_actor(node, &of_actor, &me));
}

/* As fast as the receiver takes it. */
static void send_to(coppice_ref to, const unsigned char* bytes) {
    const int code = coppice_send_bytes(me, to, bytes, size);
    if (code != COPPICE_MAILBOX_FULL) {
        must(code);
        return;
    }
    coppice_value v = 0;
    must(coppice_new_bytes(bytes, size, &v));
    must(coppice_send(me, to, v, COPPICE_FOREVER));
    must(coppice_close(v));
}

static void receive(unsigned char* bytes) {
    size_t length = 0;
    must(coppice_receive_bytes(me, COPPICE_FOREVER, bytes, size, &length, NULL));
    if (length != size) exit(1);
}

static void far_side(const char* place) {
    begin("far", NULL, place);
    puts("ready");
    fflush(stdout);
    unsigned char bytes[size];
    size_t length = 0;
    must(coppice_receive_bytes(me, COPPICE_FOREVER, bytes, size, &length, &other)); /* who is there */
    for (uint64_t seen = 0;;) {
        receive(bytes);
        ++seen;
        if (!bytes[0]) continue;
        memcpy(bytes + 8, &seen, sizeof seen);
        send_to(other, bytes);
        seen = 0;
    }
}

static uint64_t ask(void) {
    unsigned char bytes[size] = {1};
    uint64_t seen = 0;
    send_to(other, bytes);
    receive(bytes);
    memcpy(&seen, bytes + 8, sizeof seen);
    return seen;
}

static int ascending(const void* a, const void* b) {
    const uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
    return x < y ? -1 : x > y;
}

static double round_trips(uint64_t length) {
    size_t count = 0;
    for (uint64_t last = now(), end = last + length; last < end && count < most_samples;) {
        ask();
        const uint64_t at = now();
        samples[count++] = (uint32_t)(at - last);
        last = at;
    }
    qsort(samples, count, sizeof *samples, ascending);
    return samples[count / 2] / 1e3;
}

static double one_way(uint64_t length) {
    const unsigned char bytes[size] = {0};
    uint64_t sent = 0;
    const uint64_t begun = now();
    while (now() < begun + length)
        for (int i = 0; i < burst; ++i, ++sent) send_to(other, bytes);
    if (ask() != sent + 1) {
        fputs("messages were lost\n", stderr);
        exit(1);
    }
    return (double)sent / ((double)(now() - begun) / 1e9);
}

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    if (strcmp(argv[1], "far") == 0) far_side(argv[2]);
    const double seconds = atof(argv[4]);
    begin("near", argv[2], NULL);
    must(coppice_find(me, "/far/end", &other));
    const unsigned char here[size] = {0};
    send_to(other, here);
    double (*const work)(uint64_t) = strcmp(argv[3], "rtt") == 0 ? round_trips : one_way;
    work((uint64_t)(seconds * 0.3e9));
    printf("%.6g\n", work((uint64_t)(seconds * 1e9)));
    must(coppice_close(other));
    must(coppice_close(me));
    must(coppice_close(node));
    return 0;
}
