// Package coppice makes Go programs actors of a Coppice tree, by its C library.
//
//	node, err := coppice.Open(ctx, coppice.NodeOptions{Tree: "app"})
//	me, err := node.Actor("till")
//	shop, err := me.Find(ctx, "/app/shop")
//	err = me.Send(shop, "hello")
//	price, err := me.Ask(ctx, shop, map[string]string{"price of": "tea"})
//	for mail := range me.Mails(ctx) { // until the actor is asked to end
//		if mail.IsRequest() {
//			err = mail.Reply(mail.Value)
//		}
//		mail.Close()
//	}
//
// Values are nil, booleans, numbers, strings, []byte, slices, maps, Map, *Ref, Tagged and Record; see Map for what arrives as
// which type. Errors are of type *Error; errors.Is(err, coppice.ErrNotFound) tells which. Time limits and cancellation are those
// of the context; one without a deadline has no limit. A program that a supervisor starts calls RunAsChild.
//
// Everything may be called from any goroutine. What waits for mail or for an answer takes no thread of the operating system.
// Nodes, actors, refs and mails are closed by Close, or some time after nobody has them any more.
package coppice

/*
#cgo CFLAGS: -I${SRCDIR}/../../capi
#cgo LDFLAGS: -lcoppice
#include <coppice.h>
#include <stdlib.h>
*/
import "C"

import (
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"
)

// Whether the library serves what this package was compiled with; told by whatever is called first.
var wrongVersion = call(func() C.int {
	return C.coppice_check_version(C.COPPICE_HEADER_MAJOR, C.COPPICE_HEADER_MINOR)
})

// call runs a function of the library and returns what it comes back with. The text of an error is that of the thread, so the
// goroutine stays on it. The collector closes none of the handles meanwhile.
func call(function func() C.int, used ...*handle) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	code := function()
	runtime.KeepAlive(used)
	if code == C.COPPICE_OK {
		return nil
	}
	return &Error{Code: Code(code), Text: C.GoString(C.coppice_error_text())}
}

// made returns the handle, or number, that a function of the library puts into its last argument.
func made(function func(out *C.uint64_t) C.int, used ...*handle) (C.uint64_t, error) {
	var out C.uint64_t
	err := call(func() C.int { return function(&out) }, used...)
	return out, err
}

// handle owns a handle of the library. It is closed once: by close, or by the collector.
type handle struct {
	number  C.uint64_t
	waits   bool // its closing waits, which the collector's goroutine must not
	isGiven atomic.Bool
}

func own(number C.uint64_t, waits bool) *handle {
	h := &handle{number: number, waits: waits}
	runtime.SetFinalizer(h, func(h *handle) {
		if h.waits {
			go h.close()
		} else {
			_ = h.close()
		}
	})
	return h
}

// get returns its number, of a closed one too: the library tells that it was closed.
func (h *handle) get() C.uint64_t {
	if h == nil {
		return 0
	}
	return h.number
}

func (h *handle) isClosed() bool { return h == nil || h.isGiven.Load() }

// close gives the handle back; the second time it does nothing.
func (h *handle) close() error {
	if h == nil || h.isGiven.Swap(true) {
		return nil
	}
	return call(func() C.int { return C.coppice_close(h.number) }, h)
}

// OpenHandles tells how many handles of the library are open in this process; for tests of leaks.
func OpenHandles() int { return int(C.coppice_open_handles()) }

// TypeID is the number of a message type, by its C++ name: "shop::order". Zero if that is no name.
func TypeID(name string) uint64 {
	text, free, err := nameArgument(name)
	if err != nil || text == nil {
		return 0
	}
	defer free()
	return uint64(C.coppice_type_id(text))
}

// nameArgument is for arguments that end at their terminating zero; NULL for "".
func nameArgument(name string) (text *C.char, free func(), err error) {
	if strings.IndexByte(name, 0) >= 0 {
		return nil, nil, &Error{Code: ErrInvalidArgument, Text: "a name must not have a zero character"}
	}
	if name == "" {
		return nil, func() {}, nil
	}
	text = C.CString(name)
	return text, func() { C.free(unsafe.Pointer(text)) }, nil
}
