/*
 * The native methods of coppice.Native (src/coppice/Native.java): each calls the function of coppice.h that it is named after, and
 * throws the exception of the code that it returns, with its text. That is read here, on the same thread.
 *
 * Any thread of Java's. It is not in a critical section of the virtual machine while a function runs: the collector goes on. Texts come
 * and go as bytes in UTF-8, since JNI's own texts have another encoding.
 */
#include <jni.h>
#include <stdlib.h>
#include <string.h>

#include "coppice.h"

#define UNUSED __attribute__((unused))
#define WITHIN UNUSED JNIEnv *env, UNUSED jclass self
#define NATIVE(type, name) JNIEXPORT type JNICALL Java_coppice_Native_##name

static jclass native_class;
static jmethodID make_error; /* CoppiceException error(int, byte[]) */
static jfieldID handle_field;

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* machine, UNUSED void* reserved) {
    JNIEnv* env = NULL;
    if ((*machine)->GetEnv(machine, (void**)&env, JNI_VERSION_10) != JNI_OK) return JNI_ERR;
    jclass found = (*env)->FindClass(env, "coppice/Native");
    if (!found || !(native_class = (*env)->NewGlobalRef(env, found))) return JNI_ERR;
    make_error = (*env)->GetStaticMethodID(env, found, "error", "(I[B)Lcoppice/CoppiceException;");
    jclass handle = make_error ? (*env)->FindClass(env, "coppice/Handle") : NULL;
    handle_field = handle ? (*env)->GetFieldID(env, handle, "handle", "J") : NULL;
    return handle_field ? JNI_VERSION_10 : JNI_ERR;
}

/* ---------------------------------------------------------------- arguments and outcomes */

static jbyteArray array_of(JNIEnv* env, const void* bytes, size_t size);

static void raise(JNIEnv* env, int code, const char* text) {
    jbyteArray words = array_of(env, text, strlen(text));
    if (!words) return; /* out of memory, which has been thrown */
    jthrowable error = (*env)->CallStaticObjectMethod(env, native_class, make_error, (jint)code, words);
    if (!(*env)->ExceptionCheck(env)) (*env)->Throw(env, error);
}

/* Throws what a function came back with; false if it was an error. */
static int is_ok(JNIEnv* env, int code) {
    if (code == COPPICE_OK) return 1;
    raise(env, code, coppice_error_text());
    return 0;
}

static jbyteArray array_of(JNIEnv* env, const void* bytes, size_t size) {
    if (size > INT32_MAX) {
        raise(env, COPPICE_TOO_LARGE, "it has more than 2^31-1 bytes, which no byte[] has room for");
        return NULL;
    }
    jbyteArray array = (*env)->NewByteArray(env, (jsize)size);
    if (array && size) (*env)->SetByteArrayRegion(env, array, 0, (jsize)size, bytes);
    return array;
}

/* What null leads to is for the library to refuse: 0 is no handle. */
static coppice_handle handle_of(JNIEnv* env, jobject owner) {
    return owner ? (coppice_handle)(*env)->GetLongField(env, owner, handle_field) : 0;
}

/* The content of a byte[]; of null nothing. */
struct content {
    jbyteArray array;
    jbyte* bytes;
    size_t size;
};

/* False: out of memory, which has been thrown. */
static int borrow(JNIEnv* env, jbyteArray array, struct content* out) {
    out->array = array;
    out->bytes = NULL;
    out->size = 0;
    if (!array) return 1;
    out->size = (size_t)(*env)->GetArrayLength(env, array);
    out->bytes = (*env)->GetByteArrayElements(env, array, NULL);
    return out->bytes != NULL;
}

static void give_back(JNIEnv* env, const struct content* borrowed) {
    if (borrowed->bytes)
        (*env)->ReleaseByteArrayElements(env, borrowed->array, borrowed->bytes, JNI_ABORT); /* unchanged */
}

static const char* text_of(const struct content* borrowed) { return (const char*)borrowed->bytes; }

/* ---------------------------------------------------------------- the library */

NATIVE(void, checkVersion)(WITHIN) {
    is_ok(env, coppice_check_version(COPPICE_HEADER_MAJOR, COPPICE_HEADER_MINOR));
}

NATIVE(jbyteArray, codeName)(WITHIN, jint code) {
    const char* name = coppice_code_name(code);
    return array_of(env, name, strlen(name));
}

NATIVE(jlong, openHandles)(WITHIN) { return (jlong)coppice_open_handles(); }

/* What was closed before, or by others, is closed. */
NATIVE(void, close)(WITHIN, jlong handle) { coppice_close((coppice_handle)handle); }

/* ---------------------------------------------------------------- nodes and actors */

NATIVE(jlong, openNode)
(WITHIN, jbyteArray name, jbyteArray tree, jbyteArray parent, jbyteArray listen, jbyteArray secret_file,
 jbyteArray secret_env, jlong hold_ms, jlong join_ms, jint log_level) {
    enum { texts = 6 };
    jbyteArray given[texts] = {name, tree, parent, listen, secret_file, secret_env};
    struct content all[texts] = {0};
    int is_complete = 1;
    for (int i = 0; i < texts && is_complete; ++i) is_complete = borrow(env, given[i], &all[i]);
    coppice_node node = 0;
    if (is_complete) {
        coppice_node_options options = {0};
        options.size = sizeof options;
        options.name = text_of(&all[0]);
        options.tree = text_of(&all[1]);
        options.parent = text_of(&all[2]);
        options.listen = text_of(&all[3]);
        options.secret_file = text_of(&all[4]);
        options.secret_env = text_of(&all[5]);
        options.hold_ms = (uint64_t)hold_ms;
        options.join_ms = (uint64_t)join_ms;
        options.log_level = log_level;
        is_ok(env, coppice_open_node(&options, &node));
    }
    for (int i = 0; i < texts; ++i) give_back(env, &all[i]);
    return (jlong)node;
}

NATIVE(jlong, openActor)(WITHIN, jobject node, jbyteArray name, jint mailbox) {
    struct content of;
    if (!borrow(env, name, &of)) return 0;
    coppice_actor_options options = {0};
    options.size = sizeof options;
    options.name = text_of(&of);
    options.mailbox = (uint32_t)mailbox;
    coppice_actor actor = 0;
    is_ok(env, coppice_open_actor(handle_of(env, node), &options, &actor));
    give_back(env, &of);
    return (jlong)actor;
}

NATIVE(jboolean, isChild)(WITHIN) { return coppice_is_child() == 1; }

NATIVE(jlongArray, openChild)(WITHIN, jboolean announce) {
    jlongArray both = (*env)->NewLongArray(env, 2);
    coppice_node node = 0;
    coppice_actor actor = 0;
    if (!both || !is_ok(env, coppice_open_child(announce, &node, &actor))) return NULL;
    const jlong opened[2] = {(jlong)node, (jlong)actor};
    (*env)->SetLongArrayRegion(env, both, 0, 2, opened);
    return both;
}

NATIVE(void, ready)(WITHIN, jobject actor) { is_ok(env, coppice_ready(handle_of(env, actor))); }

NATIVE(void, giveUp)(WITHIN, jobject actor, jbyteArray text) {
    struct content of;
    if (!borrow(env, text, &of)) return;
    is_ok(env, coppice_give_up(handle_of(env, actor), text_of(&of), of.size));
    give_back(env, &of);
}

NATIVE(jint, exitCode)(WITHIN) { return coppice_exit_code(); }

NATIVE(jbyteArray, path)(WITHIN, jobject actor) {
    const char* text = NULL;
    size_t size = 0;
    if (!is_ok(env, coppice_path(handle_of(env, actor), &text, &size))) return NULL;
    return array_of(env, text, size);
}

/* ---------------------------------------------------------------- refs */

NATIVE(jlong, find)(WITHIN, jobject from, jbyteArray path) {
    struct content of;
    if (!borrow(env, path, &of)) return 0;
    coppice_ref ref = 0;
    is_ok(env, coppice_find(handle_of(env, from), text_of(&of), &ref));
    give_back(env, &of);
    return (jlong)ref;
}

NATIVE(jlong, self)(WITHIN, jobject actor) {
    coppice_ref ref = 0;
    is_ok(env, coppice_self(handle_of(env, actor), &ref));
    return (jlong)ref;
}

NATIVE(jbyteArray, refText)(WITHIN, jobject ref) {
    char text[1024];
    if (!is_ok(env, coppice_ref_text(handle_of(env, ref), text, sizeof text))) return NULL;
    return array_of(env, text, strlen(text));
}

NATIVE(jboolean, same)(WITHIN, jobject a, jobject b) {
    return coppice_same(handle_of(env, a), handle_of(env, b)) == COPPICE_OK;
}

/* ---------------------------------------------------------------- send, ask, receive */

NATIVE(void, send)(WITHIN, jobject from, jobject to, jlong value, jlong wait_ms) {
    is_ok(env,
          coppice_send(handle_of(env, from), handle_of(env, to), (coppice_value)value, (uint64_t)wait_ms));
}

NATIVE(jlong, ask)(WITHIN, jobject from, jobject to, jlong value, jlong within_ms) {
    coppice_value answer = 0;
    is_ok(env, coppice_ask(handle_of(env, from), handle_of(env, to), (coppice_value)value,
                           (uint64_t)within_ms, &answer));
    return (jlong)answer;
}

NATIVE(jlong, receive)(WITHIN, jobject actor, jlong wait_ms) {
    coppice_mail mail = 0;
    is_ok(env, coppice_receive(handle_of(env, actor), (uint64_t)wait_ms, &mail));
    return (jlong)mail;
}

NATIVE(jlong, peek)(WITHIN, jobject actor, jlong wait_ms) {
    coppice_mail mail = 0;
    is_ok(env, coppice_peek(handle_of(env, actor), (uint64_t)wait_ms, &mail));
    return (jlong)mail;
}

NATIVE(jint, descriptor)(WITHIN, jobject actor) {
    int descriptor = -1;
    is_ok(env, coppice_descriptor(handle_of(env, actor), &descriptor));
    return descriptor;
}

NATIVE(jint, mailKind)(WITHIN, jobject mail) {
    int kind = 0;
    is_ok(env, coppice_mail_kind_of(handle_of(env, mail), &kind));
    return kind;
}

NATIVE(jlong, mailValue)(WITHIN, jobject mail) {
    coppice_value value = 0;
    is_ok(env, coppice_mail_value(handle_of(env, mail), &value));
    return (jlong)value;
}

NATIVE(jlong, mailSender)(WITHIN, jobject mail) {
    coppice_ref sender = 0;
    is_ok(env, coppice_mail_sender(handle_of(env, mail), &sender));
    return (jlong)sender;
}

NATIVE(jlong, mailNumber)(WITHIN, jobject mail) {
    uint64_t number = 0;
    is_ok(env, coppice_mail_number(handle_of(env, mail), &number));
    return (jlong)number;
}

NATIVE(void, reply)(WITHIN, jobject request, jlong value) {
    is_ok(env, coppice_reply(handle_of(env, request), (coppice_value)value));
}

NATIVE(void, fail)(WITHIN, jobject request, jbyteArray text) {
    struct content of;
    if (!borrow(env, text, &of)) return;
    is_ok(env, coppice_fail(handle_of(env, request), text_of(&of), of.size));
    give_back(env, &of);
}

/* ---------------------------------------------------------------- groups, monitors, ends, log */

NATIVE(void, join)(WITHIN, jobject actor, jbyteArray group) {
    struct content of;
    if (!borrow(env, group, &of)) return;
    is_ok(env, coppice_join(handle_of(env, actor), text_of(&of)));
    give_back(env, &of);
}

NATIVE(void, leave)(WITHIN, jobject actor, jbyteArray group) {
    struct content of;
    if (!borrow(env, group, &of)) return;
    is_ok(env, coppice_leave(handle_of(env, actor), text_of(&of)));
    give_back(env, &of);
}

NATIVE(jlong, publish)(WITHIN, jobject actor, jbyteArray group, jlong value) {
    struct content of;
    if (!borrow(env, group, &of)) return 0;
    size_t members = 0;
    is_ok(env, coppice_publish(handle_of(env, actor), text_of(&of), (coppice_value)value, &members));
    give_back(env, &of);
    return (jlong)members;
}

NATIVE(jlong, monitor)(WITHIN, jobject actor, jobject who) {
    uint64_t number = 0;
    is_ok(env, coppice_monitor(handle_of(env, actor), handle_of(env, who), &number));
    return (jlong)number;
}

NATIVE(void, forgetMonitor)(WITHIN, jobject actor, jlong number) {
    is_ok(env, coppice_forget_monitor(handle_of(env, actor), (uint64_t)number));
}

NATIVE(void, stop)(WITHIN, jobject from, jobject who) {
    is_ok(env, coppice_stop(handle_of(env, from), handle_of(env, who)));
}

NATIVE(void, shutdown)(WITHIN, jobject from, jobject who, jlong within_ms) {
    is_ok(env, coppice_shutdown(handle_of(env, from), handle_of(env, who), (uint64_t)within_ms));
}

NATIVE(void, kill)(WITHIN, jobject from, jobject who) {
    is_ok(env, coppice_kill(handle_of(env, from), handle_of(env, who)));
}

NATIVE(void, log)(WITHIN, jobject actor, jint level, jbyteArray text) {
    struct content of;
    if (!borrow(env, text, &of)) return;
    is_ok(env, coppice_log(handle_of(env, actor), level, text_of(&of), of.size));
    give_back(env, &of);
}

/* ---------------------------------------------------------------- values: made */

NATIVE(jlong, newNothing)(WITHIN) {
    coppice_value value = 0;
    is_ok(env, coppice_new_nothing(&value));
    return (jlong)value;
}

NATIVE(jlong, newBool)(WITHIN, jboolean b) {
    coppice_value value = 0;
    is_ok(env, coppice_new_bool(b, &value));
    return (jlong)value;
}

NATIVE(jlong, newInt64)(WITHIN, jlong n) {
    coppice_value value = 0;
    is_ok(env, coppice_new_int64(n, &value));
    return (jlong)value;
}

NATIVE(jlong, newUint64)(WITHIN, jlong n) {
    coppice_value value = 0;
    is_ok(env, coppice_new_uint64((uint64_t)n, &value));
    return (jlong)value;
}

NATIVE(jlong, newDouble)(WITHIN, jdouble x) {
    coppice_value value = 0;
    is_ok(env, coppice_new_double(x, &value));
    return (jlong)value;
}

NATIVE(jlong, newText)(WITHIN, jbyteArray text) {
    struct content of;
    if (!borrow(env, text, &of)) return 0;
    coppice_value value = 0;
    is_ok(env, coppice_new_text(text_of(&of), of.size, &value));
    give_back(env, &of);
    return (jlong)value;
}

NATIVE(jlong, newBytes)(WITHIN, jbyteArray bytes) {
    struct content of;
    if (!borrow(env, bytes, &of)) return 0;
    coppice_value value = 0;
    is_ok(env, coppice_new_bytes(of.bytes, of.size, &value));
    give_back(env, &of);
    return (jlong)value;
}

NATIVE(jlong, newTagged)(WITHIN, jlong tag, jbyteArray bytes) {
    struct content of;
    if (!borrow(env, bytes, &of)) return 0;
    coppice_value value = 0;
    is_ok(env, coppice_new_tagged((uint64_t)tag, of.bytes, of.size, &value));
    give_back(env, &of);
    return (jlong)value;
}

NATIVE(jlong, newRef)(WITHIN, jobject ref) {
    coppice_value value = 0;
    is_ok(env, coppice_new_ref(handle_of(env, ref), &value));
    return (jlong)value;
}

NATIVE(jlong, newList)(WITHIN) {
    coppice_value value = 0;
    is_ok(env, coppice_new_list(&value));
    return (jlong)value;
}

NATIVE(jlong, newMap)(WITHIN) {
    coppice_value value = 0;
    is_ok(env, coppice_new_map(&value));
    return (jlong)value;
}

NATIVE(jlong, newRecord)(WITHIN, jlong type) {
    coppice_value value = 0;
    is_ok(env, coppice_new_record_of((uint64_t)type, &value));
    return (jlong)value;
}

NATIVE(void, add)(WITHIN, jlong list, jlong part) {
    is_ok(env, coppice_add((coppice_value)list, (coppice_value)part));
}

NATIVE(void, put)(WITHIN, jlong map, jlong key, jlong mapped) {
    is_ok(env, coppice_put((coppice_value)map, (coppice_value)key, (coppice_value)mapped));
}

/* ---------------------------------------------------------------- values: read */

NATIVE(jint, kindOf)(WITHIN, jlong value) {
    int kind = 0;
    is_ok(env, coppice_value_kind_of((coppice_value)value, &kind));
    return kind;
}

NATIVE(jboolean, getBool)(WITHIN, jlong value) {
    int b = 0;
    is_ok(env, coppice_get_bool((coppice_value)value, &b));
    return b != 0;
}

NATIVE(jlong, getInt64)(WITHIN, jlong value) {
    int64_t n = 0;
    is_ok(env, coppice_get_int64((coppice_value)value, &n));
    return n;
}

NATIVE(jlong, getUint64)(WITHIN, jlong value) {
    uint64_t n = 0;
    is_ok(env, coppice_get_uint64((coppice_value)value, &n));
    return (jlong)n;
}

NATIVE(jdouble, getDouble)(WITHIN, jlong value) {
    double x = 0;
    is_ok(env, coppice_get_double((coppice_value)value, &x));
    return x;
}

NATIVE(jbyteArray, getText)(WITHIN, jlong value) {
    const char* text = NULL;
    size_t size = 0;
    if (!is_ok(env, coppice_get_text((coppice_value)value, &text, &size))) return NULL;
    return array_of(env, text, size);
}

NATIVE(jbyteArray, getBytes)(WITHIN, jlong value) {
    const void* bytes = NULL;
    size_t size = 0;
    if (!is_ok(env, coppice_get_bytes((coppice_value)value, &bytes, &size))) return NULL;
    return array_of(env, bytes, size);
}

NATIVE(jlong, getTag)(WITHIN, jlong value) {
    uint64_t tag = 0;
    const void* bytes = NULL;
    size_t size = 0;
    is_ok(env, coppice_get_tagged((coppice_value)value, &tag, &bytes, &size));
    return (jlong)tag;
}

NATIVE(jbyteArray, getTagged)(WITHIN, jlong value) {
    uint64_t tag = 0;
    const void* bytes = NULL;
    size_t size = 0;
    if (!is_ok(env, coppice_get_tagged((coppice_value)value, &tag, &bytes, &size))) return NULL;
    return array_of(env, bytes, size);
}

NATIVE(jlong, getRef)(WITHIN, jlong value) {
    coppice_ref ref = 0;
    is_ok(env, coppice_get_ref((coppice_value)value, &ref));
    return (jlong)ref;
}

NATIVE(jlong, size)(WITHIN, jlong value) {
    size_t size = 0;
    is_ok(env, coppice_value_size((coppice_value)value, &size));
    return (jlong)size;
}

NATIVE(jlong, at)(WITHIN, jlong value, jlong index) {
    coppice_value part = 0;
    is_ok(env, coppice_value_at((coppice_value)value, (size_t)index, &part));
    return (jlong)part;
}

NATIVE(jlong, key)(WITHIN, jlong map, jlong index) {
    coppice_value part = 0;
    is_ok(env, coppice_value_key((coppice_value)map, (size_t)index, &part));
    return (jlong)part;
}

NATIVE(jlong, type)(WITHIN, jlong value) {
    uint64_t type = 0;
    is_ok(env, coppice_value_type((coppice_value)value, &type));
    return (jlong)type;
}

NATIVE(jlong, typeId)(WITHIN, jbyteArray name) {
    struct content of;
    if (!borrow(env, name, &of)) return 0;
    const uint64_t type = coppice_type_id(text_of(&of));
    give_back(env, &of);
    return (jlong)type;
}
