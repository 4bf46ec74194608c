// A program that a supervisor of a tree starts.
package coppice

/*
#include <coppice.h>
#include <signal.h>

// Goroutines have small stacks: a handler that is not told to run on the thread's stack for signals could write past theirs.
static inline void go_handle_elsewhere(int signal) {
	struct sigaction now;
	if (sigaction(signal, NULL, &now) != 0 || now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) return;
	now.sa_flags |= SA_ONSTACK | SA_RESTART;
	sigaction(signal, &now, NULL);
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// ChildOption is an option of RunAsChild.
type ChildOption int

// AnnounceLater has the child count as started when it calls Ready, not at once.
const AnnounceLater ChildOption = 1

// IsChild tells whether a supervisor of a tree has started this process, and its place is not taken yet.
func IsChild() bool { return C.coppice_is_child() == 1 }

// RunAsChild is the main function of a program that a supervisor starts: it takes its place in the tree, runs body, and returns the
// exit code for os.Exit. The context that body gets ends with it.
//
// An error, or a panic, ends the actor in failure, with its words as the reason; ErrStopping does not. Leave SIGTERM, by which the
// actor is asked to end, to the library.
func RunAsChild(ctx context.Context, body func(ctx context.Context, me *Actor) error, options ...ChildOption) int {
	announce := C.int(1)
	for _, o := range options {
		if o == AnnounceLater {
			announce = 0
		}
	}
	node, me, err := openChild(announce)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if failure := runBody(ctx, body, me); failure != nil && !errors.Is(failure, ErrStopping) {
		_ = me.GiveUp(strings.ToValidUTF8(failure.Error(), "\uFFFD")) // if it is ending already, its reason is another one
	}
	_ = me.Close()
	_ = node.Close()
	return int(C.coppice_exit_code())
}

func openChild(announce C.int) (*Node, *Actor, error) {
	if wrongVersion != nil {
		return nil, nil, wrongVersion
	}
	var n, a C.uint64_t
	if err := call(func() C.int { return C.coppice_open_child(announce, &n, &a) }); err != nil {
		return nil, nil, err
	}
	C.go_handle_elsewhere(C.SIGTERM)
	C.go_handle_elsewhere(C.SIGINT)
	node := newNode(n)
	me, err := newActor(a, node)
	if err != nil {
		_ = node.Close()
	}
	return node, me, err
}

func runBody(ctx context.Context, body func(ctx context.Context, me *Actor) error, me *Actor) (failure error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if panicked := recover(); panicked != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", panicked, debug.Stack())
			failure = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return body(ctx, me)
}
