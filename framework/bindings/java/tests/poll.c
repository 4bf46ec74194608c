/* poll(2) for the tests, as loops outside of Java call it: the native method of tests/coppice/Poll.java. */
#include <jni.h>
#include <poll.h>

JNIEXPORT jint JNICALL Java_coppice_Poll_poll(JNIEnv* env, jclass self, jint descriptor, jint timeout_ms) {
    struct pollfd readable = {descriptor, POLLIN, 0};
    (void)env;
    (void)self;
    return poll(&readable, 1, timeout_ms);
}
