/*
 * coppice_space.h: the shared memory of a tree, for every language that can call C. It goes with coppice.h, whose rules hold:
 * the same library, handles, codes and texts of errors. C11 and C++. What it is about stands in docs/space.md.
 *
 * GLOSSARY
 *   space      Named memory of a tree. Whoever creates it owns it, mostly an actor in C++ (space_keeper); the others open it.
 *   slot       A named part of it with a size, and an arena that is filled from its beginning.
 *   guard      The right to look into a slot: many that read, or one that writes, among all processes.
 *   pointer    An offset into an arena, valid in every process, and so a part of messages. A guard turns it into an address.
 *   damaged    A slot whose writer died while it wrote. It is refused to all, with the dead one's name, until it is repaired.
 *
 *     coppice_space studio;                                        // one process
 *     coppice_slot image;
 *     coppice_guard page;
 *     coppice_slot_pointer row;
 *     void* memory;
 *     coppice_open_space(me, "studio", NULL, &studio);
 *     coppice_open_slot(studio, "image", &image);
 *     coppice_write_slot(image, 5000, &page);                      // alone in it, until page is closed
 *     coppice_allocate(page, 640, sizeof(float), _Alignof(float), &row);
 *     coppice_objects_to_write(page, &row, sizeof(float), _Alignof(float), &memory);
 *     fill(memory);
 *     coppice_close(page);                                         // published
 *     coppice_new_slot_pointer(&row, &v); coppice_send(me, screen, v, 0);
 *
 * RULES, beside those of coppice.h
 *   - No node is needed. `by` says who it is that waits: an actor or a node, by whose path others know it in reports, and with
 *     whose end a wait ends (COPPICE_STOPPING, after at most 50 ms); or 0, and then it is this process alone.
 *   - A guard is one, for whichever threads use it. What it has given is valid until it is closed; the memory itself stays where
 *     it is until the slot's handle is closed, too.
 *   - A guard that writes and is open when its process ends leaves its slot damaged, whether that end is orderly or not.
 *   - What others have written into the memory is checked before the library uses it. What your objects hold is yours to check.
 */
#ifndef COPPICE_SPACE_H
#define COPPICE_SPACE_H

#include "coppice.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef coppice_handle coppice_space;
typedef coppice_handle coppice_slot;
typedef coppice_handle coppice_guard;

/* ------------------------------------------------------------------------------------------------ spaces */

/* Set to zero, then `size` to sizeof. */
typedef struct coppice_space_options {
    size_t size;
    const char*
        directory; /* where it lies; all processes need the same. NULL: $COPPICE_RUN_DIR, else /dev/shm/coppice-UID */
    /* Of coppice_create_space alone: */
    uint64_t slot_bytes;  /* of one slot at most; 0: 1 GiB. More is COPPICE_TOO_LARGE */
    uint64_t total_bytes; /* of all slots; 0: 4 GiB. More is COPPICE_LIMIT_REACHED */
    uint32_t slots;       /* at once; 0: 1,024. One more is COPPICE_LIMIT_REACHED */
} coppice_space_options;

/* Makes it and owns it: it ends when the last handle of it here is closed. First wipes what crashed owners have left in that
 * directory. COPPICE_NAME_TAKEN: it has a living owner, whom the text names. COPPICE_BAD_NAME, _DENIED, _IO. */
COPPICE_API int coppice_create_space(coppice_handle by, const char* name,
                                     const coppice_space_options* options, coppice_space* out);
/* One that another has created. COPPICE_NOT_FOUND: there is none with a living owner. COPPICE_BAD_MESSAGE: its table is
 * damaged. COPPICE_WRONG_VERSION: another release made it. */
COPPICE_API int coppice_open_space(coppice_handle by, const char* name, const coppice_space_options* options,
                                   coppice_space* out);

/* ------------------------------------------------------------------------------------------------ slots */

/* Makes one of that many bytes, of memory that is there: touching it cannot fail later. COPPICE_NAME_TAKEN, _BAD_NAME,
 * _TOO_LARGE, _LIMIT_REACHED (the text says of what), _TIMEOUT: another process changes the table. COPPICE_CLOSED: the space has
 * ended. */
COPPICE_API int coppice_reserve_slot(coppice_space in, const char* name, uint64_t bytes, uint64_t wait_ms,
                                     coppice_slot* out);
/* Opens it in this process. Never waits. COPPICE_NOT_FOUND, COPPICE_CLOSED. */
COPPICE_API int coppice_open_slot(coppice_space in, const char* name, coppice_slot* out);
/* Gives it up, whoever reserved it. Guards keep their memory; all else is refused from now on. */
COPPICE_API int coppice_release_slot(coppice_space in, const char* name, uint64_t wait_ms);

/* A map of texts: "name", "bytes", "used" (of the arena), "writes" (so far), "damaged" (a boolean), "holders": a list of maps
 * "who", "pid", "use" ("reading", "writing", "waiting_to_write"), "stopped" (by a signal); and of a damaged one "damaged_by", such
 * a map. What may be added later has other names. */
COPPICE_API int coppice_slot_report(coppice_slot slot, coppice_value* out);
/* A list of them, of all slots. */
COPPICE_API int coppice_list_slots(coppice_space in, coppice_value* out);

/* ------------------------------------------------------------------------------------------------ reading and writing */

/* COPPICE_TIMEOUT: the text names who has it. COPPICE_BAD_MESSAGE: it is damaged, and by whom. COPPICE_NOT_FOUND: it was
 * released. COPPICE_CLOSED: the space has ended, or the handle was closed. COPPICE_LIMIT_REACHED: no descriptor is left. */
COPPICE_API int coppice_read_slot(coppice_slot slot, uint64_t wait_ms, coppice_guard* out);
/* Alone. Closing the guard publishes what was written. */
COPPICE_API int coppice_write_slot(coppice_slot slot, uint64_t wait_ms, coppice_guard* out);
/* As coppice_write_slot, also of a damaged slot, which is whole when the guard is closed. */
COPPICE_API int coppice_repair_slot(coppice_slot slot, uint64_t wait_ms, coppice_guard* out);
/* Makes it whole and empty, damaged or not. */
COPPICE_API int coppice_reset_slot(coppice_slot slot, uint64_t wait_ms);
/* Closes a guard that writes without publishing: what it wrote is not whole, and the slot is damaged. */
COPPICE_API int coppice_abandon(coppice_guard guard);
/* Bytes of the arena that are used, and that it has; and whether it was damaged when the guard was given. Each may be NULL. */
COPPICE_API int coppice_guard_state(coppice_guard guard, uint64_t* used, uint64_t* capacity,
                                    int* was_damaged);

/* ------------------------------------------------------------------------------------------------ the arena */

/* `count` objects of `object_bytes` each, in an arena. All zeros: none. */
typedef struct coppice_slot_pointer {
    uint64_t space;  /* of this life of the space */
    uint64_t offset; /* in the arena */
    uint64_t count;
    uint32_t slot;
    uint32_t generation; /* of the slot: how often it was reserved */
    uint32_t filling;    /* of the arena: how often it was emptied */
    uint32_t object_bytes;
} coppice_slot_pointer;

/* Room for so many objects behind what is used, down to the last byte. `alignment`: of one of them, a power of two up to 4,096.
 * COPPICE_LIMIT_REACHED: less is left, as the text says. COPPICE_DENIED: the guard only reads. */
COPPICE_API int coppice_allocate(coppice_guard guard, uint64_t count, uint32_t object_bytes,
                                 uint32_t alignment, coppice_slot_pointer* out);
/* Empties the arena: earlier pointers into it are refused from now on. */
COPPICE_API int coppice_clear(coppice_guard guard);
/* Where the objects are in this process: pointer->count of them. `object_bytes` 0: of whatever size the pointer says.
 * COPPICE_INVALID_ARGUMENT: it points to nothing, or into another slot or space. COPPICE_NOT_FOUND: the slot was released, or its
 * arena emptied since. COPPICE_BAD_MESSAGE: it leads out of what is used, or to objects of another size or alignment. */
COPPICE_API int coppice_objects(coppice_guard guard, const coppice_slot_pointer* pointer,
                                uint32_t object_bytes, uint32_t alignment, const void** out);
/* COPPICE_DENIED: the guard only reads. */
COPPICE_API int coppice_objects_to_write(coppice_guard guard, const coppice_slot_pointer* pointer,
                                         uint32_t object_bytes, uint32_t alignment, void** out);
/* A pointer as part of a message, a record of its seven numbers: what C++ programs have as slot_ptr. */
COPPICE_API int coppice_new_slot_pointer(const coppice_slot_pointer* pointer, coppice_value* out);
COPPICE_API int coppice_get_slot_pointer(coppice_value v, coppice_slot_pointer* out);

#ifdef __cplusplus
}
#endif
#endif
