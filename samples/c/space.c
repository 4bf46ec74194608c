/*
 * space: memory that processes share, in C11. A writer in a process of its own fills a slot, and sends where; the reader looks at it
 * without a copy. Then a writer dies in the middle: the reader is told who, and makes the slot whole.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coppice_space.h>

static void must(int code) {
    if (code == COPPICE_OK) return;
    fprintf(stderr, "%s\n", coppice_error_text());
    exit(1);
}

/* [write] */
static void write_row(const char* studio_name, coppice_slot_pointer* row, int crash) {
    coppice_space studio = 0;
    coppice_slot image = 0;
    coppice_guard page = 0;
    void* memory = NULL;
    must(coppice_open_space(0, studio_name, NULL, &studio));
    must(coppice_open_slot(studio, "image", &image));
    must(coppice_write_slot(image, 5000, &page)); /* alone in it, until page is closed */
    must(coppice_clear(page));
    must(coppice_allocate(page, 640, sizeof(float), _Alignof(float), row));
    must(coppice_objects_to_write(page, row, sizeof(float), _Alignof(float), &memory));
    for (int i = 0; i < 640; ++i) ((float*)memory)[i] = (float)i / 2;
    if (crash) raise(SIGKILL);
    must(coppice_close(page)); /* published */
    must(coppice_close(image));
    must(coppice_close(studio));
}
/* [/write] */

/* [read] */
static void read_row(coppice_slot image, const coppice_slot_pointer* row) {
    coppice_guard page = 0;
    const void* memory = NULL;
    int code = coppice_read_slot(image, 5000, &page);
    if (code != COPPICE_OK) {
        printf("the slot cannot be read: %s\n",
               coppice_code_name(code)); /* and coppice_error_text() names who died */
        return;
    }
    must(coppice_objects(page, row, sizeof(float), _Alignof(float),
                         &memory)); /* an error if it does not lead into it as it is */
    const float* numbers = memory;
    printf("%d numbers, the last one is %.1f\n", (int)row->count, numbers[row->count - 1]);
    must(coppice_close(page));
}
/* [/read] */

/* This program again, as the writer. Where the row is comes over a pipe; in a tree it would be part of a message. */
static void run_writer(const char* program, const char* studio_name, const char* how,
                       coppice_slot_pointer* row) {
    int ends[2];
    if (pipe(ends) != 0) exit(1);
    pid_t writer = fork();
    if (writer == 0) { /* nothing of Coppice's before the exec */
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl(program, program, studio_name, how, (char*)NULL);
        _exit(1);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], row, sizeof *row);
    close(ends[0]);
    int status = 0;
    waitpid(writer, &status, 0);
    printf("the writer %s\n", WIFSIGNALED(status)  ? "was killed"
                              : got == sizeof *row ? "has sent a row"
                                                   : "has failed");
}

int main(int argc, char** argv) {
    coppice_slot_pointer row = {0};
    if (argc > 2) {
        write_row(argv[1], &row, strcmp(argv[2], "crash") == 0);
        return write(STDOUT_FILENO, &row, sizeof row) == sizeof row ? 0 : 1;
    }
    char name[64];
    snprintf(name, sizeof name, "studio-%ld", (long)getpid());
    coppice_space studio = 0;
    coppice_slot image = 0;
    must(coppice_create_space(0, name, NULL, &studio)); /* in a tree, an actor in C++ does so: space_keeper */
    must(coppice_reserve_slot(studio, "image", 640 * sizeof(float), 5000, &image));

    run_writer(argv[0], name, "whole", &row);
    read_row(image, &row);

    coppice_slot_pointer none = {0};
    run_writer(argv[0], name, "crash", &none);
    read_row(image, &row);
    must(coppice_reset_slot(image, 5000));
    printf("whole again, and empty\n");

    must(coppice_close(image));
    must(coppice_close(studio));
    return 0;
}
