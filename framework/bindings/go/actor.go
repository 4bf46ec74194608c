// Actors: sending, asking, receiving. Any goroutine; what waits is woken by the runtime's poller.
//
//	          Receive, Poll, Mails                              Ask, Find, SendWait
//	                  │ one at a time                             │ each waits for the answer of its number
//	descriptor ──► awaits ──► coppice_receive_view    descriptor ──► awaits ──► coppice_receive_answer
//	                  └── an answer on the way ──► to who asked         (one goroutine, while somebody asks)
package coppice

/*
#include <coppice.h>
#include <fcntl.h>

static inline int go_send_text(coppice_handle from, coppice_ref to, _GoString_ text) {
	return coppice_send_text(from, to, _GoStringPtr(text), _GoStringLen(text));
}
static inline int go_log(coppice_actor actor, int level, _GoString_ text) {
	return coppice_log(actor, level, _GoStringPtr(text), _GoStringLen(text));
}
static inline int go_give_up(coppice_actor actor, _GoString_ text) {
	return coppice_give_up(actor, _GoStringPtr(text), _GoStringLen(text));
}
// A descriptor of the caller's own for the same thing: the runtime closes what it waits for.
static inline int go_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Actor is a mailbox of this process, with a name in the tree.
type Actor struct {
	h     *handle
	node  *Node // lives as long as its actors
	path  string
	ended chan struct{} // closed by Close
	once  sync.Once

	receiving chan struct{} // has room for the one who receives

	mutex      sync.Mutex
	returned   []*Mail                   // taken from the library, and received next
	looked     map[C.uint64_t]*Mail      // peeked at, and not received yet
	peeked     bool                      // there has been such mail
	asked      map[C.uint64_t]chan *Mail // who waits for the answer of that number
	answering  bool                      // the goroutine that takes answers runs
	forMail    *waiter                   // of who receives; opened when it is needed first
	forAnswers *waiter                   // of the goroutine that takes answers
}

func newActor(number C.uint64_t, node *Node) (*Actor, error) {
	a := &Actor{
		h:         own(number, true),
		node:      node,
		ended:     make(chan struct{}),
		receiving: make(chan struct{}, 1),
		looked:    map[C.uint64_t]*Mail{},
		asked:     map[C.uint64_t]chan *Mail{},
	}
	err := call(func() C.int {
		var text *C.char
		var size C.size_t
		code := C.coppice_path(number, &text, &size)
		if code == C.COPPICE_OK {
			a.path = C.GoStringN(text, C.int(size))
		}
		return code
	}, a.h)
	if err != nil {
		_ = a.h.close()
		return nil, err
	}
	return a, nil
}

func (a *Actor) handle() *handle {
	if a == nil {
		return nil
	}
	return a.h
}

// usable tells what the library would of an actor that was closed, or never opened.
func (a *Actor) usable() error {
	if a == nil || a.h == nil {
		return &Error{Code: ErrInvalidArgument, Text: "this is no actor: Node.Actor opens one"}
	}
	if a.h.isClosed() {
		return &Error{Code: ErrClosed, Text: a.path + " was closed before"}
	}
	return nil
}

// Path is its path in the tree, "/app/shop".
func (a *Actor) Path() string {
	if a == nil {
		return ""
	}
	return a.path
}

// Ref is a ref to it, for others.
func (a *Actor) Ref() (*Ref, error) {
	h := a.handle()
	r, err := made(func(out *C.uint64_t) C.int { return C.coppice_self(h.get(), out) }, h)
	if err != nil {
		return nil, err
	}
	return &Ref{own(r, false)}, nil
}

// Close ends it: its name is free, and what waits for its mail returns ErrStopping. The second time it does nothing.
func (a *Actor) Close() error {
	if a == nil || a.h == nil {
		return nil
	}
	err := a.h.close()
	a.once.Do(func() {
		close(a.ended)
		a.mutex.Lock()
		mails := a.returned
		for _, m := range a.looked {
			mails = append(mails, m)
		}
		a.returned, a.looked = nil, nil
		waiters := []*waiter{a.forMail, a.forAnswers}
		a.mutex.Unlock()
		// Without the mutex: who waits may need it before it lets go.
		for _, w := range waiters {
			w.close()
		}
		for _, m := range mails {
			_ = m.Close()
		}
	})
	return err
}

// ---------------------------------------------------------------- others

// Find returns a ref to the actor of that path. ErrNotFound: its node has no such actor. ErrUnreachable: no link leads to its node.
func (a *Actor) Find(ctx context.Context, path string) (*Ref, error) {
	name, free, err := nameArgument(path)
	if err != nil {
		return nil, err
	}
	defer free()
	told, err := a.later(ctx, "find "+path, func(number *C.uint64_t) C.int {
		return C.coppice_find_later(a.h.get(), name, number)
	})
	if err != nil {
		return nil, err
	}
	defer told.Close()
	return told.Sender()
}

// Send returns when the message is on its way. ErrMailboxFull: it is not, as its receiver has no room; SendWait waits for some.
func (a *Actor) Send(to *Ref, value any) error {
	from, ref := a.handle(), to.handle()
	switch v := value.(type) {
	case string:
		return call(func() C.int { return C.go_send_text(from.get(), ref.get(), v) }, from, ref)
	case []byte:
		return call(func() C.int {
			return C.coppice_send_bytes(from.get(), ref.get(), at(v), C.size_t(len(v)))
		}, from, ref)
	case int:
		return call(func() C.int { return C.coppice_send_int64(from.get(), ref.get(), C.int64_t(v)) }, from, ref)
	case int64:
		return call(func() C.int { return C.coppice_send_int64(from.get(), ref.get(), C.int64_t(v)) }, from, ref)
	case float64:
		return call(func() C.int { return C.coppice_send_double(from.get(), ref.get(), C.double(v)) }, from, ref)
	}
	return withValue(value, func(v C.coppice_value) error {
		return call(func() C.int { return C.coppice_send(from.get(), ref.get(), v, 0) }, from, ref)
	})
}

// SendWait sends as Send does, and waits where the receiver's mailbox has no room.
func (a *Actor) SendWait(ctx context.Context, to *Ref, value any) error {
	if ctx.Err() != nil {
		return ended(ctx, "send")
	}
	if err := a.Send(to, value); !errors.Is(err, ErrMailboxFull) {
		return err
	}
	ref := to.handle()
	return withValue(value, func(v C.coppice_value) error {
		told, err := a.later(ctx, "send", func(number *C.uint64_t) C.int {
			return C.coppice_send_later(a.h.get(), ref.get(), v, within(ctx), number)
		}, ref)
		if err == nil {
			_ = told.Close()
		}
		return err
	})
}

// Ask sends a request and returns its answer. ErrFailed: the other side answered with an error. ErrNoReply, ErrDown, ErrNodeLost
// come at once, ErrTimeout at the context's deadline.
func (a *Actor) Ask(ctx context.Context, to *Ref, value any) (answer any, err error) {
	ref := to.handle()
	err = withValue(value, func(v C.coppice_value) error {
		told, err := a.later(ctx, "ask", func(number *C.uint64_t) C.int {
			return C.coppice_ask_later(a.h.get(), ref.get(), v, within(ctx), number)
		}, ref)
		if err == nil {
			answer = told.Value
			_ = told.Close()
		}
		return err
	})
	return answer, err
}

// Monitor has the news of that actor's end come as mail with HasEnded and this number; at once if it has ended.
func (a *Actor) Monitor(who *Ref) (number uint64, err error) {
	from, ref := a.handle(), who.handle()
	n, err := made(func(out *C.uint64_t) C.int { return C.coppice_monitor(from.get(), ref.get(), out) }, from, ref)
	return uint64(n), err
}

// Demonitor has no news of it come any more.
func (a *Actor) Demonitor(number uint64) error {
	h := a.handle()
	return call(func() C.int { return C.coppice_forget_monitor(h.get(), C.uint64_t(number)) }, h)
}

// Stop asks an actor to end when it has handled its mail.
func (a *Actor) Stop(who *Ref) error {
	from, ref := a.handle(), who.handle()
	return call(func() C.int { return C.coppice_stop(from.get(), ref.get()) }, from, ref)
}

// Shutdown asks it to end now, and kills it if that takes longer than limit.
func (a *Actor) Shutdown(who *Ref, limit time.Duration) error {
	from, ref := a.handle(), who.handle()
	return call(func() C.int { return C.coppice_shutdown(from.get(), ref.get(), milliseconds(limit)) }, from, ref)
}

// Kill ends it at once.
func (a *Actor) Kill(who *Ref) error {
	from, ref := a.handle(), who.handle()
	return call(func() C.int { return C.coppice_kill(from.get(), ref.get()) }, from, ref)
}

// ---------------------------------------------------------------- groups

// Join has it receive what is published to the group.
func (a *Actor) Join(group string) error {
	return a.withName(group, func(name *C.char) C.int { return C.coppice_join(a.h.get(), name) })
}

// Leave ends that.
func (a *Actor) Leave(group string) error {
	return a.withName(group, func(name *C.char) C.int { return C.coppice_leave(a.h.get(), name) })
}

// Publish sends to all members of a group but this actor, and tells how many took it.
func (a *Actor) Publish(group string, value any) (members int, err error) {
	var taken C.size_t
	err = withValue(value, func(v C.coppice_value) error {
		return a.withName(group, func(name *C.char) C.int {
			return C.coppice_publish(a.h.get(), name, v, &taken)
		})
	})
	return int(taken), err
}

func (a *Actor) withName(text string, function func(name *C.char) C.int) error {
	if err := a.usable(); err != nil {
		return err
	}
	name, free, err := nameArgument(text)
	if err != nil {
		return err
	}
	defer free()
	return call(func() C.int { return function(name) }, a.h)
}

// ---------------------------------------------------------------- itself

// Ready says that a child that announces it counts as started from now on.
func (a *Actor) Ready() error {
	h := a.handle()
	return call(func() C.int { return C.coppice_ready(h.get()) }, h)
}

// GiveUp says that it ends in failure, for that reason. Then close it.
func (a *Actor) GiveUp(reason string) error {
	h := a.handle()
	return call(func() C.int { return C.go_give_up(h.get(), reason) }, h)
}

// Log writes a record to the tree's log, with this actor's path.
func (a *Actor) Log(level Level, text string) error {
	h := a.handle()
	return call(func() C.int { return C.go_log(h.get(), C.int(level), text) }, h)
}

// Logf is Log with a text as of fmt.Sprintf.
func (a *Actor) Logf(level Level, format string, parts ...any) error {
	return a.Log(level, fmt.Sprintf(format, parts...))
}

// LogWriter makes each Write a record of the tree's log, for the package log:
//
//	log.SetOutput(me.LogWriter(coppice.LevelInfo))
func (a *Actor) LogWriter(level Level) io.Writer { return logWriter{a, level} }

type logWriter struct {
	actor *Actor
	level Level
}

func (w logWriter) Write(text []byte) (int, error) {
	line := strings.ToValidUTF8(strings.TrimSuffix(string(text), "\n"), "\uFFFD")
	if err := w.actor.Log(w.level, line); err != nil {
		return 0, err
	}
	return len(text), nil
}

// ---------------------------------------------------------------- mail

// Receive returns the next mail, in order; urgent mail first. ErrTimeout or ErrCancelled as the context tells; ErrStopping: the
// actor is asked to end and there is no mail left.
func (a *Actor) Receive(ctx context.Context) (*Mail, error) {
	return a.wait(ctx, a.next)
}

// Peek is the mail that Receive would return, which stays where it is.
func (a *Actor) Peek(ctx context.Context) (*Mail, error) {
	return a.wait(ctx, a.first)
}

// Poll returns the next mail if there is one now. ErrTimeout: there is none.
func (a *Actor) Poll() (*Mail, error) {
	if err := a.usable(); err != nil {
		return nil, err
	}
	select {
	case a.receiving <- struct{}{}:
	default:
		return nil, &Error{Code: ErrTimeout, Text: a.path + ": another goroutine receives"}
	}
	defer func() { <-a.receiving }()
	return a.next()
}

// Mails gives the mail of the actor until it is asked to end, or the context is done. Mail that nobody took from the channel
// by then is received next.
//
// Who stops reading before has to end the context.
func (a *Actor) Mails(ctx context.Context) <-chan *Mail {
	mails := make(chan *Mail)
	go func() {
		defer close(mails)
		for {
			m, err := a.Receive(ctx)
			if err != nil {
				return
			}
			select {
			case mails <- m:
			case <-ctx.Done():
				a.giveBack(m)
				return
			case <-a.ended:
				_ = m.Close()
				return
			}
		}
	}()
	return mails
}

// Descriptor is readable, for poll(2), while there is mail or the actor is asked to end. Do not read from it or close it.
func (a *Actor) Descriptor() (int, error) {
	var fd C.int
	h := a.handle()
	err := call(func() C.int { return C.coppice_descriptor(h.get(), &fd) }, h)
	return int(fd), err
}

// wait calls take until it has a mail, each time that there is something new.
func (a *Actor) wait(ctx context.Context, take func() (*Mail, error)) (m *Mail, err error) {
	if err := a.usable(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, a.path)
	}
	select {
	case a.receiving <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx, a.path)
	case <-a.ended:
		return nil, a.isEnding()
	}
	defer func() { <-a.receiving }()
	defer func() {
		if codeOf(err) == ErrClosed { // meanwhile, by another goroutine
			err = a.isEnding()
		}
	}()
	if m, err = take(); codeOf(err) != ErrTimeout {
		return m, err
	}
	w, err := a.waiterAt(&a.forMail)
	if err != nil {
		return nil, err
	}
	w.sleep()
	if done := ctx.Done(); done != nil {
		left, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-done:
				w.wake()
			case <-left:
			}
		}()
		defer func() {
			close(left)
			<-watched
		}()
	}
	woken := w.raw.Read(func(uintptr) bool {
		m, err = take()
		return codeOf(err) != ErrTimeout
	})
	if woken != nil && ctx.Err() != nil {
		return nil, ended(ctx, a.path)
	}
	if woken != nil {
		return nil, a.isEnding()
	}
	return m, err
}

func (a *Actor) isEnding() error {
	return &Error{Code: ErrStopping, Text: a.path + " is asked to end"}
}

// next takes the next mail without waiting; answers on the way go to who asked.
func (a *Actor) next() (*Mail, error) {
	for {
		if m := a.takeReturned(); m != nil {
			return m, nil
		}
		view := C.coppice_view{size: C.sizeof_coppice_view}
		err := call(func() C.int { return C.coppice_receive_view(a.h.get(), 0, &view, nil, 0) }, a.h)
		if err != nil {
			return nil, err
		}
		m, err := a.mail(view.mail, &view, false)
		if err != nil {
			return nil, err
		}
		if m.kind != C.COPPICE_ANSWER {
			return m, nil
		}
		a.answered(m, true)
	}
}

// first is the mail that next would take.
func (a *Actor) first() (*Mail, error) {
	for {
		a.mutex.Lock()
		if len(a.returned) > 0 {
			m := a.returned[0]
			a.mutex.Unlock()
			return m, nil
		}
		a.mutex.Unlock()
		number, err := made(func(out *C.uint64_t) C.int { return C.coppice_peek(a.h.get(), 0, out) }, a.h)
		if err != nil {
			return nil, err
		}
		m, err := a.mail(number, nil, true)
		if codeOf(err) == ErrClosed {
			continue // an answer that was taken meanwhile
		}
		if err != nil {
			return nil, err
		}
		if m.kind != C.COPPICE_ANSWER {
			return m, nil
		}
		a.takeAnswers(true)
	}
}

// mail is the one of that handle, which was peeked at before perhaps. The view is nil if only the handle is known.
func (a *Actor) mail(number C.uint64_t, view *C.coppice_view, stays bool) (*Mail, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	m := a.looked[number]
	if m == nil {
		if a.peeked {
			view = nil // whoever peeked at it may close it now, and with it what the view points to
		}
		read, err := newMail(number, view)
		if err != nil {
			return nil, err
		}
		m = read
	}
	delete(a.looked, number)
	if stays {
		a.peeked = true
		for each, other := range a.looked {
			if other.h.isClosed() {
				delete(a.looked, each)
			}
		}
		if a.looked != nil { // else it was closed meanwhile
			a.looked[number] = m
		}
	}
	return m, nil
}

func (a *Actor) takeReturned() *Mail {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if len(a.returned) == 0 {
		return nil
	}
	m := a.returned[0]
	a.returned = a.returned[1:]
	return m
}

func (a *Actor) giveBack(m *Mail) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.h.isClosed() {
		_ = m.Close()
		return
	}
	a.returned = append(a.returned, m)
}

// ---------------------------------------------------------------- answers

// later begins what the library does without waiting, and waits for the mail that tells how it went.
func (a *Actor) later(ctx context.Context, what string, begin func(number *C.uint64_t) C.int, used ...*handle) (*Mail, error) {
	if err := a.usable(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, what)
	}
	arrival := make(chan *Mail, 1)
	number, err := a.ask(arrival, begin, used)
	if err != nil {
		return nil, err
	}
	select {
	case m := <-arrival:
		if m.code == 0 {
			return m, nil
		}
		defer m.Close()
		return nil, failure(what, m)
	case <-ctx.Done():
		err = ended(ctx, what)
	case <-a.ended:
		err = a.isEnding()
	case <-a.node.ended:
		err = a.isEnding()
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if _, waits := a.asked[number]; !waits { // it has come meanwhile
		m := <-arrival
		_ = m.Close()
		return nil, err
	}
	a.forget(number, true)
	return nil, err
}

// ask notes who asks before the answer can come.
func (a *Actor) ask(arrival chan *Mail, begin func(number *C.uint64_t) C.int, used []*handle) (C.uint64_t, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	w, err := a.waiterLocked(&a.forAnswers)
	if err != nil {
		return 0, err
	}
	number, err := made(begin, append(used, a.h)...)
	if err != nil {
		return 0, err
	}
	a.asked[number] = arrival
	if !a.answering {
		a.answering = true
		w.sleep()
		go a.answer(w)
	}
	return number, nil
}

// answer takes answers while somebody waits for one.
func (a *Actor) answer(w *waiter) {
	for {
		woken := w.raw.Read(func(uintptr) bool { return a.takeAnswers(false) })
		a.mutex.Lock()
		if len(a.asked) == 0 || a.h.isClosed() || (woken != nil && !os.IsTimeout(woken)) {
			a.answering = false
			a.mutex.Unlock()
			return
		}
		w.sleep()
		a.mutex.Unlock()
	}
}

// takeAnswers tells whether nobody waits for more.
func (a *Actor) takeAnswers(wakes bool) bool {
	for {
		number, err := made(func(out *C.uint64_t) C.int { return C.coppice_receive_answer(a.h.get(), 0, out) }, a.h)
		if err != nil {
			// Of an actor that is asked to end answers come still.
			a.mutex.Lock()
			defer a.mutex.Unlock()
			return len(a.asked) == 0 || codeOf(err) == ErrClosed
		}
		if m, err := a.mail(number, nil, false); err == nil {
			a.answered(m, wakes)
		}
	}
}

// answered gives an answer to who asked. Nobody does any more if the context has ended.
func (a *Actor) answered(m *Mail, wakes bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	number := C.uint64_t(m.number)
	if arrival := a.asked[number]; arrival != nil {
		arrival <- m // has room for it
		a.forget(number, wakes)
	} else {
		_ = m.Close()
	}
}

// forget is under the mutex. The goroutine that takes answers is told that it waits for none, but by itself.
func (a *Actor) forget(number C.uint64_t, wakes bool) {
	delete(a.asked, number)
	if len(a.asked) == 0 && wakes && a.answering {
		a.forAnswers.wake()
	}
}

// failure is what an answer tells instead of a value.
func failure(what string, m *Mail) error {
	text, _ := m.Value.(string)
	switch {
	case m.code == ErrFailed:
	case text == "" || text == m.code.String():
		text = what + ": " + m.code.String()
	default:
		text = what + ": " + m.code.String() + ": " + text
	}
	return &Error{Code: m.code, Text: text}
}

// ---------------------------------------------------------------- waiting

// waiter waits for an actor's descriptor, by one of its own: two may wait for the same actor.
type waiter struct {
	file *os.File
	raw  syscall.RawConn
}

// waiterAt opens it when it is needed first.
func (a *Actor) waiterAt(place **waiter) (*waiter, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.waiterLocked(place)
}

func (a *Actor) waiterLocked(place **waiter) (*waiter, error) {
	if a.h.isClosed() {
		return nil, a.isEnding()
	}
	if *place != nil {
		return *place, nil
	}
	fd, err := a.Descriptor()
	if err != nil {
		return nil, err
	}
	own := C.go_duplicate(C.int(fd))
	if own < 0 {
		return nil, &Error{Code: ErrLimitReached, Text: a.path + ": there is no descriptor left"}
	}
	w := &waiter{file: os.NewFile(uintptr(own), a.path)}
	if w.raw, err = w.file.SyscallConn(); err == nil {
		err = w.file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		w.close()
		return nil, &Error{Code: ErrIO, Text: a.path + ": " + err.Error()}
	}
	*place = w
	return w, nil
}

// wake has who waits look at its context: a deadline that has passed ends a wait. It lasts until sleep.
func (w *waiter) wake() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) }

func (w *waiter) sleep() { _ = w.file.SetReadDeadline(time.Time{}) }

// close ends all waits, and waits for that.
func (w *waiter) close() {
	if w != nil {
		_ = w.file.Close()
	}
}
