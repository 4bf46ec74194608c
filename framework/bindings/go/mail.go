// Mail: what an actor has received. Any goroutine.
package coppice

/*
#include <coppice.h>

// What a mail says of itself, read in one call; the handle of its value is the caller's.
typedef struct {
	int kind, code;
	uint64_t number;
	coppice_value value;
} go_mail;

static inline int go_read_mail(coppice_mail m, go_mail *out) {
	int code = coppice_mail_kind_of(m, &out->kind);
	if (code == COPPICE_OK) code = coppice_mail_code(m, &out->code);
	if (code == COPPICE_OK && (out->kind == COPPICE_ANSWER || out->kind == COPPICE_ENDED))
		code = coppice_mail_number(m, &out->number);
	return code == COPPICE_OK ? coppice_mail_value(m, &out->value) : code;
}

static inline int go_fail(coppice_mail m, _GoString_ text) {
	return coppice_fail(m, _GoStringPtr(text), _GoStringLen(text));
}
*/
import "C"

import "fmt"

// Mail is a message, a request, or the news that a monitored actor has ended. A request that is closed without a reply is answered
// with ErrNoReply.
type Mail struct {
	Value any // what was sent; of the news of an end: its reason, in words

	h      *handle
	kind   C.int
	code   Code
	number uint64
}

// newMail owns the handle, and closes it if it cannot be read. What a view tells is not asked for again.
func newMail(number C.uint64_t, view *C.coppice_view) (*Mail, error) {
	m := &Mail{h: own(number, false)}
	if view != nil && (view.what == C.COPPICE_MESSAGE || view.what == C.COPPICE_REQUEST) { // others have a number, too
		if value, isSimple := valueSeen(view); isSimple {
			m.Value, m.kind = value, C.int(view.what)
			return m, nil
		}
	}
	var read C.go_mail
	err := call(func() C.int { return C.go_read_mail(number, &read) }, m.h)
	if err == nil {
		m.Value, err = takeValue(read.value)
	}
	if err != nil {
		_ = m.h.close()
		return nil, err
	}
	m.kind, m.code, m.number = read.kind, Code(read.code), uint64(read.number)
	return m, nil
}

func (m *Mail) handle() *handle {
	if m == nil {
		return nil
	}
	return m.h
}

// IsRequest tells whether its sender waits for Reply or Fail.
func (m *Mail) IsRequest() bool { return m != nil && m.kind == C.COPPICE_REQUEST }

// HasEnded tells whether it is the news that a monitored actor has ended: Number is what Monitor gave.
func (m *Mail) HasEnded() bool { return m != nil && m.kind == C.COPPICE_ENDED }

// Number is that of the monitor whose news it is; else 0.
func (m *Mail) Number() uint64 {
	if m == nil {
		return 0
	}
	return m.number
}

// Sender is who sent it; of the news of an end: who ended. ErrNotFound: nobody says so.
func (m *Mail) Sender() (*Ref, error) {
	h := m.handle()
	r, err := made(func(out *C.uint64_t) C.int { return C.coppice_mail_sender(h.get(), out) }, h)
	if err != nil {
		return nil, err
	}
	return &Ref{own(r, false)}, nil
}

// Reply answers a request, once, now or later. ErrClosed: it has been answered.
func (m *Mail) Reply(value any) error {
	h := m.handle()
	return withValue(value, func(v C.coppice_value) error {
		return call(func() C.int { return C.coppice_reply(h.get(), v) }, h)
	})
}

// Fail answers a request with an error: its sender gets ErrFailed with this text.
func (m *Mail) Fail(text string) error {
	h := m.handle()
	return call(func() C.int { return C.go_fail(h.get(), text) }, h)
}

// Close gives the mail back; Value and the refs in it stay. The second time it does nothing.
func (m *Mail) Close() error { return m.handle().close() }

func (m *Mail) String() string {
	switch {
	case m.IsRequest():
		return fmt.Sprintf("request %v", m.Value)
	case m.HasEnded():
		return fmt.Sprintf("end %v", m.Value)
	case m == nil:
		return "no mail"
	}
	return fmt.Sprintf("message %v", m.Value)
}
