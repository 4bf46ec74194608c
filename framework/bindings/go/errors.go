// Errors: what a call of the library came back with, for errors.Is and errors.As. Any goroutine.
package coppice

// #include <coppice.h>
import "C"

import (
	"context"
	"os"
)

// Error is what a call came back with: a code of the one table (docs/errors.md), and why, in words.
//
//	if errors.Is(err, coppice.ErrNotFound) { ... }
//	var told *coppice.Error
//	if errors.As(err, &told) { fmt.Println(told.Code, told.Text) }
type Error struct {
	Code Code
	Text string // of ErrFailed: the other side's words, and nothing else
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Code.Error()
	}
	return e.Text
}

// Unwrap is its code, so that errors.Is and errors.As find that.
func (e *Error) Unwrap() error { return e.Code }

// Timeout tells whether a time limit has passed, as errors of the package net do.
func (e *Error) Timeout() bool { return e.Code == ErrTimeout }

// Code is a number of the one table. It is an error itself, for errors.Is.
type Code int

// The codes. ErrTimeout is also context.DeadlineExceeded and os.ErrDeadlineExceeded, ErrCancelled is context.Canceled, and
// ErrClosed is os.ErrClosed, where errors.Is asks.
const (
	ErrTimeout         Code = C.COPPICE_TIMEOUT          // the time limit passed
	ErrDown            Code = C.COPPICE_DOWN             // the actor has ended, or never existed
	ErrMailboxFull     Code = C.COPPICE_MAILBOX_FULL     // the receiver's mailbox is at its bound
	ErrUnreachable     Code = C.COPPICE_UNREACHABLE      // no link leads to the actor's node
	ErrDenied          Code = C.COPPICE_DENIED           // the caller lacks the right
	ErrNoHandler       Code = C.COPPICE_NO_HANDLER       // the receiver takes no such message
	ErrNoReply         Code = C.COPPICE_NO_REPLY         // the receiver dropped the request
	ErrDeadlock        Code = C.COPPICE_DEADLOCK         // the request would close a circle of requests
	ErrCancelled       Code = C.COPPICE_CANCELLED        // its owner has ended, or its context was cancelled
	ErrNotFound        Code = C.COPPICE_NOT_FOUND        // nothing has that name
	ErrNameTaken       Code = C.COPPICE_NAME_TAKEN       // a living actor, or node, has that name
	ErrBadName         Code = C.COPPICE_BAD_NAME         // no actor can have that name
	ErrWrongProtocol   Code = C.COPPICE_WRONG_PROTOCOL   // a value of another kind
	ErrStartFailed     Code = C.COPPICE_START_FAILED     // the actor ended when it was started
	ErrLimitReached    Code = C.COPPICE_LIMIT_REACHED    // more than there may be
	ErrPriorityRefused Code = C.COPPICE_PRIORITY_REFUSED // the operating system refused a thread's priority
	ErrStopping        Code = C.COPPICE_STOPPING         // the actor, or its node, is asked to end
	ErrFailed          Code = C.COPPICE_FAILED           // the other side answered with an error of its own
	ErrInvalidArgument Code = C.COPPICE_INVALID_ARGUMENT // a value out of its documented range
	ErrIO              Code = C.COPPICE_IO               // the operating system reported an error
	ErrClosed          Code = C.COPPICE_CLOSED           // the handle was closed, or the request answered
	ErrNodeLost        Code = C.COPPICE_NODE_LOST        // the actor's node has ended, or was out of reach for too long
	ErrOutcomeUnknown  Code = C.COPPICE_OUTCOME_UNKNOWN  // the node was lost before it told whether it took the message
	ErrNameRefused     Code = C.COPPICE_NAME_REFUSED     // the other node does not take one of that name
	ErrWrongSecret     Code = C.COPPICE_WRONG_SECRET     // the two nodes do not share a secret
	ErrWrongVersion    Code = C.COPPICE_WRONG_VERSION    // the library, or the other node, is of another version
	ErrNotPortable     Code = C.COPPICE_NOT_PORTABLE     // it cannot leave its process
	ErrBadMessage      Code = C.COPPICE_BAD_MESSAGE      // bytes that do not hold what they should
	ErrTooLarge        Code = C.COPPICE_TOO_LARGE        // a message beyond a limit
)

// String is its name in the table: "not_found".
func (c Code) String() string { return C.GoString(C.coppice_code_name(C.int(c))) }

func (c Code) Error() string { return c.String() }

// Is tells which errors of the standard library it stands for.
func (c Code) Is(target error) bool {
	switch c {
	case ErrTimeout:
		return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
	case ErrCancelled:
		return target == context.Canceled
	case ErrClosed:
		return target == os.ErrClosed
	}
	return false
}

// codeOf is the code of an error of this package; 0 for nil.
func codeOf(err error) Code {
	if e, is := err.(*Error); is {
		return e.Code
	}
	return 0
}

// ended tells why a context that is done ended what it was given to.
func ended(ctx context.Context, what string) error {
	if ctx.Err() == context.DeadlineExceeded {
		return &Error{Code: ErrTimeout, Text: what + ": " + ErrTimeout.String()}
	}
	return &Error{Code: ErrCancelled, Text: what + ": " + ErrCancelled.String()}
}
