// The binding against the library, within one process; as a supervised child it is tested in tests/capi.
package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"coppice"
)

var tree = fmt.Sprintf("go-test-%d", os.Getpid()) // found by its name on the whole machine

// Each value as it is sent, and as it arrives.
var values = []struct{ sent, arrives any }{
	{nil, nil},
	{true, true},
	{false, false},
	{0, int64(0)},
	{int8(-1), int64(-1)},
	{int64(math.MaxInt64), int64(math.MaxInt64)},
	{math.MinInt64, int64(math.MinInt64)},
	{uint64(math.MaxUint64), uint64(math.MaxUint64)},
	{uint16(5), uint64(5)},
	{0.5, 0.5},
	{float32(-1.5), -1.5},
	{math.Inf(1), math.Inf(1)},
	{math.Inf(-1), math.Inf(-1)},
	{math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64},
	{"", ""},
	{"text", "text"},
	{"with a zero \x00 inside", "with a zero \x00 inside"},
	{"four bytes: \U0001d11e", "four bytes: \U0001d11e"},
	{time.Second, int64(time.Second)},
	{[]byte{}, []byte{}},
	{[]byte(nil), []byte{}},
	{[]byte{0x00, 0xff}, []byte{0x00, 0xff}},
	{[2]byte{0x00, 0xff}, []byte{0x00, 0xff}},
	{[]any{}, []any{}},
	{[]any(nil), []any{}},
	{[]string{"a", "b"}, []any{"a", "b"}},
	{[]any{1, []any{2.5, []any{"three", nil}}}, []any{int64(1), []any{2.5, []any{"three", nil}}}},
	{coppice.Map{}, coppice.Map{}},
	{map[string]int{"one": 1}, coppice.Map{{Key: "one", Value: int64(1)}}},
	{
		coppice.Map{{Key: "b", Value: 1.0}, {Key: "a", Value: []byte("x")}, {Key: []any{nil}, Value: coppice.Map{{Key: true, Value: false}}}},
		coppice.Map{{Key: "b", Value: 1.0}, {Key: "a", Value: []byte("x")}, {Key: []any{nil}, Value: coppice.Map{{Key: true, Value: false}}}},
	},
	{coppice.Tagged{Tag: math.MaxUint64, Content: []byte("\x00{}")}, coppice.Tagged{Tag: math.MaxUint64, Content: []byte("\x00{}")}},
	{coppice.Record{Fields: []any{1, "x", []any{nil}}}, coppice.Record{Fields: []any{int64(1), "x", []any{nil}}}},
	{coppice.Record{Type: coppice.TypeID("shop::order")}, coppice.Record{Type: coppice.TypeID("shop::order"), Fields: []any{}}},
	{nested(32), nested(32)},
}

// nested is that many lists within one another.
func nested(levels int) any {
	var all any
	for i := 0; i < levels; i++ {
		all = []any{all}
	}
	return all
}

// scene is a node with two actors. At its end nothing is left open.
type scene struct {
	*testing.T
	ctx  context.Context // with a watchdog
	node *coppice.Node
	a, b *coppice.Actor
	toB  *coppice.Ref
}

func play(t *testing.T) *scene {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s := &scene{T: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		s.must(s.toB.Close())
		s.must(s.a.Close())
		s.must(s.b.Close())
		s.must(s.node.Close())
		if left := coppice.OpenHandles(); left != 0 {
			t.Errorf("%d handles are left open", left)
		}
	})
	var err error
	s.node, err = coppice.Open(ctx, coppice.NodeOptions{Name: tree, LogLevel: coppice.LevelOff})
	s.must(err)
	s.a, err = s.node.Actor("a")
	s.must(err)
	s.b, err = s.node.Actor("b")
	s.must(err)
	s.toB, err = s.a.Find(ctx, s.b.Path())
	s.must(err)
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) wants(err error, code coppice.Code) {
	s.Helper()
	if !errors.Is(err, code) {
		s.Fatalf("%v, where %v was expected", err, code)
	}
	var told *coppice.Error
	if !errors.As(err, &told) || told.Text == "" {
		s.Fatalf("%v has no text", code)
	}
}

func (s *scene) equal(got, wanted any) {
	s.Helper()
	if !reflect.DeepEqual(got, wanted) {
		s.Fatalf("%.200s (%T), where %.200s (%T) was expected", fmt.Sprint(got), got, fmt.Sprint(wanted), wanted)
	}
}

// receive closes the mail, and returns what it held.
func (s *scene) receive(actor *coppice.Actor) any {
	s.Helper()
	mail, err := actor.Receive(s.ctx)
	s.must(err)
	s.must(mail.Close())
	return mail.Value
}

// serve has b answer on a goroutine until it is asked to end, which is when the test ends.
func (s *scene) serve(answer func(mail *coppice.Mail) error) {
	ended := make(chan error, 1)
	go func() {
		for mail := range s.b.Mails(s.ctx) {
			err := answer(mail)
			if closed := mail.Close(); err == nil {
				err = closed
			}
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	s.Cleanup(func() {
		s.must(s.a.Stop(s.toB))
		s.must(<-ended)
	})
}

func later(s *scene, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	s.Cleanup(cancel)
	return ctx
}

// ---------------------------------------------------------------- values

func TestValuesArriveAsTheyWereSent(t *testing.T) {
	s := play(t)
	for _, v := range values {
		s.must(s.a.Send(s.toB, v.sent))
		mail, err := s.b.Receive(s.ctx)
		s.must(err)
		s.equal(mail.Value, v.arrives)
		s.equal(mail.IsRequest(), false)
		s.must(mail.Close())

		s.must(s.a.SendWait(s.ctx, s.toB, v.sent))
		s.equal(s.receive(s.b), v.arrives)
	}
}

func TestWhatArrivedArrivesTheSameWhenItIsSentOn(t *testing.T) {
	s := play(t)
	for _, v := range values {
		s.must(s.a.Send(s.toB, v.arrives))
		s.equal(s.receive(s.b), v.arrives)
	}
}

func TestValuesOfAnActorThatHasPeekedArriveTheSame(t *testing.T) {
	s := play(t)
	s.must(s.a.Send(s.toB, "peeked at"))
	_, err := s.b.Peek(s.ctx)
	s.must(err)
	s.equal(s.receive(s.b), "peeked at")
	for _, v := range values {
		s.must(s.a.Send(s.toB, v.sent))
		s.equal(s.receive(s.b), v.arrives)
	}
}

func TestNotANumberAndTheNegativeZeroStaySuch(t *testing.T) {
	s := play(t)
	for _, x := range []float64{math.NaN(), math.Copysign(0, -1)} {
		s.must(s.a.Send(s.toB, x))
		s.must(s.a.Send(s.toB, []any{x}))
		for _, got := range []any{s.receive(s.b), s.receive(s.b).([]any)[0]} {
			s.equal(fmt.Sprintf("%T %v", got, got), fmt.Sprintf("float64 %v", x)) // by their texts: == tells neither
		}
	}
}

func TestValuesOfSixteenMebibytesArrive(t *testing.T) {
	s := play(t)
	for _, v := range []any{strings.Repeat("x", 16<<20), bytes.Repeat([]byte{0xab}, 16<<20)} {
		s.must(s.a.Send(s.toB, v))
		s.equal(s.receive(s.b), v)
	}
}

func TestATaggedValueWithinAnotherOneIsReadAsSuch(t *testing.T) {
	s := play(t)
	sent := coppice.Tagged{Tag: 7, Content: []byte("{}")}
	for _, v := range []any{sent, coppice.Record{Fields: []any{uint64(7), []byte("{}")}}, coppice.Record{Fields: []any{7, []byte("{}")}}} {
		s.must(s.a.Send(s.toB, []any{v}))
		got, is := coppice.AsTagged(s.receive(s.b).([]any)[0])
		s.equal(is, true)
		s.equal(got, sent)
	}
	for _, v := range []any{
		nil,
		coppice.Record{},
		coppice.Record{Fields: []any{int64(-1), []byte{}}},
		coppice.Record{Fields: []any{int64(1), "text"}},
		coppice.Record{Type: 1, Fields: []any{int64(1), []byte{}}},
	} {
		if _, is := coppice.AsTagged(v); is {
			t.Fatalf("%v is no tagged value", v)
		}
	}
}

func TestARefLeadsBack(t *testing.T) {
	s := play(t)
	own, err := s.a.Ref()
	s.must(err)
	defer own.Close()
	s.must(s.a.Send(s.toB, []any{own}))
	mail, err := s.b.Receive(s.ctx)
	s.must(err)
	sender, err := mail.Sender()
	s.must(err)
	back := mail.Value.([]any)[0].(*coppice.Ref)
	s.must(mail.Close())
	s.equal(back.Equal(sender), true)
	s.equal(back.Equal(own), true)
	s.equal(back.Equal(s.toB), false)
	s.equal(back.Equal(nil), false)
	s.equal(s.toB.String(), s.b.Path())
	s.must(s.b.Send(back, "here"))
	s.equal(s.receive(s.a), "here")
	s.must(back.Close())
	s.must(sender.Close())
}

func TestValuesThatCannotBeSentAreRefusedAndNothingIsLeft(t *testing.T) {
	s := play(t)
	before := coppice.OpenHandles()
	circle := make([]any, 1)
	circle[0] = circle
	for _, v := range []struct {
		value any
		code  coppice.Code
	}{
		{struct{ N int }{1}, coppice.ErrInvalidArgument},
		{&values, coppice.ErrInvalidArgument},
		{[]any{1, []any{make(chan int)}}, coppice.ErrInvalidArgument},
		{map[string]any{"f": func() {}}, coppice.ErrInvalidArgument},
		{coppice.Map{{Key: complex(1, 1)}}, coppice.ErrInvalidArgument},
		{"no UTF-8: \xff", coppice.ErrInvalidArgument},
		{[]any{"a surrogate: \xed\xa0\x80"}, coppice.ErrInvalidArgument},
		{(*coppice.Ref)(nil), coppice.ErrInvalidArgument},
		{nested(33), coppice.ErrTooLarge},
		{circle, coppice.ErrTooLarge},
	} {
		s.wants(s.a.Send(s.toB, v.value), v.code)
		s.wants(s.a.SendWait(s.ctx, s.toB, v.value), v.code)
		_, err := s.a.Ask(s.ctx, s.toB, v.value)
		s.wants(err, v.code)
	}
	s.equal(coppice.OpenHandles(), before)
	_, err := s.b.Poll()
	s.wants(err, coppice.ErrTimeout)
}

func TestAMapIsReadByItsKeys(t *testing.T) {
	m := coppice.Map{{Key: "a", Value: 1}, {Key: []any{int64(2)}, Value: 3}}
	if v, found := m.Get([]any{int64(2)}); !found || v != 3 {
		t.Fatal(v, found)
	}
	if v, found := m.Get("b"); found || v != nil {
		t.Fatal(v, found)
	}
}

// ---------------------------------------------------------------- asking

func answer(mail *coppice.Mail) error {
	switch {
	case !mail.IsRequest():
		return fmt.Errorf("%v is no request", mail)
	case mail.Value == "fail":
		return mail.Fail("it cannot be done")
	case mail.Value == "drop":
		return nil
	}
	return mail.Reply([]any{mail.Value})
}

// within is what a list of one value holds: of a record within another value the type is not told.
func within(list any) any {
	switch v := list.([]any)[0].(type) {
	case coppice.Record:
		return v.Fields
	case coppice.Tagged:
		return []any{v.Tag, v.Content}
	default:
		return v
	}
}

func TestAskReturnsWhatWasReplied(t *testing.T) {
	s := play(t)
	s.serve(answer)
	for _, v := range values[:len(values)-1] { // but the one that is at the limit of nesting
		got, err := s.a.Ask(s.ctx, s.toB, v.sent)
		s.must(err)
		s.equal(within(got), within([]any{v.arrives}))
	}
}

func TestAskReturnsTheErrorItCameBackWith(t *testing.T) {
	s := play(t)
	s.serve(answer)
	_, err := s.a.Ask(s.ctx, s.toB, "fail")
	s.wants(err, coppice.ErrFailed)
	s.equal(err.Error(), "it cannot be done")
	_, err = s.a.Ask(s.ctx, s.toB, "drop")
	s.wants(err, coppice.ErrNoReply)
	var told *coppice.Error
	if !errors.As(err, &told) || told.Code != coppice.ErrNoReply || told.Code.String() != "no_reply" {
		t.Fatal(err)
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	s := play(t)
	_, err := s.a.Ask(later(s, time.Millisecond), s.toB, "nobody receives")
	s.wants(err, coppice.ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) || !os.IsTimeout(err) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error)
	go func() {
		_, err := s.a.Ask(ctx, s.toB, "nobody answers")
		ended <- err
	}()
	s.equal(s.receive(s.b), "nobody receives")
	mail, err := s.b.Receive(s.ctx) // it is on its way
	s.must(err)
	cancel()
	err = <-ended
	s.wants(err, coppice.ErrCancelled)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	_, err = s.a.Ask(ctx, s.toB, "never sent")
	s.wants(err, coppice.ErrCancelled)

	// The late answer is nobody's: it is neither mail nor the answer of another request.
	s.must(mail.Reply("too late"))
	s.must(mail.Close())
	s.serve(answer)
	got, err := s.a.Ask(s.ctx, s.toB, "now")
	s.must(err)
	s.equal(got, []any{"now"})
	_, err = s.a.Poll()
	s.wants(err, coppice.ErrTimeout)
}

func TestAskIsAnsweredFromAnotherThreadAndOnce(t *testing.T) {
	s := play(t)
	kept, replied := make(chan *coppice.Mail, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // so that its thread is no other goroutine's
		mail := <-kept
		replied <- mail.Reply("later")
	}()
	answers := make(chan any, 1)
	go func() {
		got, _ := s.a.Ask(s.ctx, s.toB, "when?")
		answers <- got
	}()
	mail, err := s.b.Receive(s.ctx)
	s.must(err)
	s.equal(mail.IsRequest(), true)
	kept <- mail
	s.equal(<-answers, "later")
	s.must(<-replied)
	s.wants(mail.Reply(2), coppice.ErrClosed)
	s.wants(mail.Fail("no"), coppice.ErrClosed)
	s.must(mail.Close())
}

func TestReplyToWhatIsNoRequestIsRefused(t *testing.T) {
	s := play(t)
	s.must(s.a.Send(s.toB, 1))
	mail, err := s.b.Receive(s.ctx)
	s.must(err)
	s.wants(mail.Reply(2), coppice.ErrInvalidArgument)
	s.must(mail.Close())
}

// Hundreds wait at the same time, each for its own answer, while mail comes in between to the one who asks.
func TestManyAskAtOnceAndGetTheirOwnAnswers(t *testing.T) {
	s := play(t)
	own, err := s.a.Ref()
	s.must(err)
	defer own.Close()
	s.serve(func(mail *coppice.Mail) error {
		if err := s.b.Send(own, "news"); err != nil {
			return err
		}
		return answer(mail)
	})
	const asks = 300
	var all sync.WaitGroup
	for i := 0; i < asks; i++ {
		i := i
		all.Add(1)
		go func() {
			defer all.Done()
			got, err := s.a.Ask(s.ctx, s.toB, i)
			if err != nil || !reflect.DeepEqual(got, []any{int64(i)}) {
				t.Errorf("%d: %v, %v", i, got, err)
			}
		}()
	}
	for i := 0; i < asks; i++ {
		s.equal(s.receive(s.a), "news")
	}
	all.Wait()
}

func TestTwoThreadsSendAndTheOrderOfEachHolds(t *testing.T) {
	s := play(t)
	const each = 2000
	failed := make(chan error, 2)
	for who := 0; who < 2; who++ {
		who := who
		go func() {
			runtime.LockOSThread()
			var err error
			for i := 0; i < each && err == nil; i++ {
				err = s.a.SendWait(s.ctx, s.toB, []int{who, i})
			}
			failed <- err
		}()
	}
	next := [2]int64{}
	for i := 0; i < 2*each; i++ {
		got := s.receive(s.b).([]any)
		who := got[0].(int64)
		s.equal(got[1], next[who])
		next[who]++
	}
	s.must(<-failed)
	s.must(<-failed)
}

// ---------------------------------------------------------------- receiving

func TestReceiveHasALimit(t *testing.T) {
	s := play(t)
	began := time.Now()
	_, err := s.b.Receive(later(s, 20*time.Millisecond))
	s.wants(err, coppice.ErrTimeout)
	if waited := time.Since(began); waited < 20*time.Millisecond {
		t.Fatal(waited)
	}
	_, err = s.b.Poll()
	s.wants(err, coppice.ErrTimeout)
	s.must(s.a.SendWait(s.ctx, s.toB, 1))
	mail, err := s.b.Peek(s.ctx) // it is there now
	s.must(err)
	again, err := s.b.Poll()
	s.must(err)
	s.equal(mail == again, true)
	s.must(again.Close())
	_, err = s.b.Poll()
	s.wants(err, coppice.ErrTimeout)
}

func TestReceiveEndsWhenItIsCancelledAndNoMailIsLost(t *testing.T) {
	s := play(t)
	for i := 0; i < 100; i++ {
		ctx, cancel := context.WithCancel(s.ctx)
		got := make(chan any, 1)
		go func() {
			mail, err := s.b.Receive(ctx)
			if err != nil {
				got <- err
				return
			}
			_ = mail.Close()
			got <- mail.Value
		}()
		s.must(s.a.Send(s.toB, i))
		cancel()
		if v := <-got; v != int64(i) {
			s.wants(v.(error), coppice.ErrCancelled)
			s.equal(s.receive(s.b), int64(i))
		}
	}
}

func TestMailThatNobodyTookFromTheChannelIsReceivedNext(t *testing.T) {
	s := play(t)
	for i := 0; i < 3; i++ {
		s.must(s.a.SendWait(s.ctx, s.toB, i))
	}
	ctx, cancel := context.WithCancel(s.ctx)
	mails := s.b.Mails(ctx)
	mail := <-mails
	s.equal(mail.Value, int64(0))
	s.must(mail.Close())
	cancel()
	next := int64(1)
	for mail := range mails { // one may be on its way
		s.equal(mail.Value, next)
		s.must(mail.Close())
		next++
	}
	for ; next < 3; next++ {
		s.equal(s.receive(s.b), next)
	}
}

func TestPeekLeavesTheMailWhereItIs(t *testing.T) {
	s := play(t)
	s.must(s.a.SendWait(s.ctx, s.toB, "first"))
	s.must(s.a.SendWait(s.ctx, s.toB, "second"))
	for i := 0; i < 2; i++ {
		mail, err := s.b.Peek(s.ctx)
		s.must(err)
		s.equal(mail.Value, "first")
	}
	s.equal(s.readable(s.b, 0), true)
	s.equal(s.receive(s.b), "first")
	mail, err := s.b.Peek(s.ctx)
	s.must(err)
	s.must(mail.Close()) // which takes it out
	_, err = s.b.Peek(later(s, time.Millisecond))
	s.wants(err, coppice.ErrTimeout)
}

type pollfd struct {
	fd              int32
	events, revents int16
}

// readable asks poll(2) for the actor's descriptor.
func (s *scene) readable(actor *coppice.Actor, limit time.Duration) bool {
	s.Helper()
	fd, err := actor.Descriptor()
	s.must(err)
	const readable = 1
	asked := pollfd{fd: int32(fd), events: readable}
	until := time.Now().Add(limit)
	for {
		left := syscall.NsecToTimespec(0)
		if d := time.Until(until); d > 0 {
			left = syscall.NsecToTimespec(int64(d))
		}
		n, _, code := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&asked)), 1, uintptr(unsafe.Pointer(&left)), 0, 0, 0)
		if code == syscall.EINTR {
			continue
		}
		if code != 0 {
			s.Fatal(code)
		}
		return n == 1 && asked.revents&readable != 0
	}
}

func TestTheDescriptorIsReadableWhileThereIsMail(t *testing.T) {
	s := play(t)
	s.equal(s.readable(s.b, 0), false)
	s.must(s.a.Send(s.toB, "wake up"))
	s.equal(s.readable(s.b, time.Minute), true)
	mail, err := s.b.Poll()
	s.must(err)
	s.must(mail.Close())
	s.equal(s.readable(s.b, 0), false)
	s.must(s.a.Stop(s.toB))
	s.equal(s.readable(s.b, time.Minute), true)
}

func TestMailEndsWithTheActor(t *testing.T) {
	s := play(t)
	s.must(s.a.Send(s.toB, "the last"))
	s.must(s.a.Stop(s.toB))
	got := []any{}
	for mail := range s.b.Mails(s.ctx) {
		got = append(got, mail.Value)
		s.must(mail.Close())
	}
	s.equal(got, []any{"the last"})
	_, err := s.b.Receive(s.ctx)
	s.wants(err, coppice.ErrStopping)
	_, err = s.b.Poll()
	s.wants(err, coppice.ErrStopping)
}

// Who waits is told when the actor, or its node, is closed by another goroutine.
func TestClosingEndsWhatWaits(t *testing.T) {
	for _, closes := range []func(s *scene) error{
		func(s *scene) error { return s.a.Close() },
		func(s *scene) error { return s.node.Close() },
	} {
		s := play(t)
		receives, asks := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := s.a.Receive(s.ctx)
			receives <- err
		}()
		go func() {
			_, err := s.a.Ask(s.ctx, s.toB, "a question")
			asks <- err
		}()
		s.equal(s.receive(s.b), "a question")
		for waits := false; !waits; runtime.Gosched() {
			_, err := s.a.Poll()
			s.wants(err, coppice.ErrTimeout)
			waits = strings.Contains(err.Error(), "another goroutine receives")
		}
		s.must(closes(s))
		s.wants(<-receives, coppice.ErrStopping)
		if err := <-asks; !errors.Is(err, coppice.ErrStopping) && !errors.Is(err, coppice.ErrNoReply) {
			t.Fatal(err)
		}
		s.must(s.toB.Close())
		s.must(s.a.Close())
		s.must(s.b.Close())
		s.must(s.node.Close())
	}
}

func TestAnEndIsToldToWhoMonitors(t *testing.T) {
	s := play(t)
	number, err := s.a.Monitor(s.toB)
	s.must(err)
	other, err := s.a.Monitor(s.toB)
	s.must(err)
	s.must(s.a.Demonitor(other))
	s.must(s.b.GiveUp("no flour"))
	s.must(s.b.Close())
	mail, err := s.a.Receive(s.ctx)
	s.must(err)
	s.equal(mail.HasEnded(), true)
	s.equal(mail.IsRequest(), false)
	s.equal(mail.Number(), number)
	if reason, is := mail.Value.(string); !is || !strings.Contains(reason, "no flour") {
		t.Fatal(mail.Value)
	}
	s.must(mail.Close())
	_, err = s.a.Poll()
	s.wants(err, coppice.ErrTimeout)
	_, err = s.a.Ask(s.ctx, s.toB, 1)
	s.wants(err, coppice.ErrDown)
}

func TestActorsEndAsTheyAreTold(t *testing.T) {
	for _, ends := range []func(s *scene) error{
		func(s *scene) error { return s.a.Shutdown(s.toB, time.Minute) },
		func(s *scene) error { return s.a.Kill(s.toB) },
	} {
		s := play(t)
		_, err := s.a.Monitor(s.toB)
		s.must(err)
		s.must(ends(s))
		_, err = s.b.Receive(s.ctx)
		s.wants(err, coppice.ErrStopping)
		s.must(s.b.Close())
		mail, err := s.a.Receive(s.ctx)
		s.must(err)
		s.equal(mail.HasEnded(), true)
		s.must(mail.Close())
		s.must(s.toB.Close())
		s.must(s.a.Close())
		s.must(s.node.Close())
	}
}

func TestAGroupLeavesTheSenderOut(t *testing.T) {
	s := play(t)
	s.must(s.a.Join("news"))
	s.must(s.b.Join("news"))
	members, err := s.a.Publish("news", map[string]string{"it": "rains"})
	s.must(err)
	s.equal(members, 1)
	s.equal(s.receive(s.b), coppice.Map{{Key: "it", Value: "rains"}})
	_, err = s.a.Poll()
	s.wants(err, coppice.ErrTimeout)
	s.must(s.b.Leave("news"))
	members, err = s.a.Publish("news", 1)
	s.must(err)
	s.equal(members, 0)
}

func TestAFullMailboxIsToldAndWaitedFor(t *testing.T) {
	s := play(t)
	small, err := s.node.ActorWith(coppice.ActorOptions{Name: "small", Mailbox: 1})
	s.must(err)
	to, err := s.a.Find(s.ctx, small.Path())
	s.must(err)
	const limit = 50 * time.Millisecond
	sent, waited := 0, time.Duration(0)
	for err == nil && sent < 100_000 { // the library takes 4,096 ahead, and 65,536 may be on their way
		sent++
		began := time.Now()
		err = s.a.SendWait(later(s, limit), to, sent)
		waited = time.Since(began)
	}
	s.wants(err, coppice.ErrTimeout)
	if waited < limit {
		t.Fatal(waited)
	}
	room := make(chan error, 1)
	go func() { room <- s.a.SendWait(s.ctx, to, "there is room") }()
	for last := any(nil); last != "there is room"; {
		last = s.receive(small)
	}
	s.must(<-room)
	s.must(to.Close())
	s.must(small.Close())
}

func TestTheLogIsWrittenToWithALevel(t *testing.T) {
	s := play(t)
	s.must(s.a.Logf(coppice.LevelInfo, "%d is logged", 1))
	logger := log.New(s.a.LogWriter(coppice.LevelWarn), "", 0)
	s.must(logger.Output(1, "as of the package log, with what is no UTF-8: \xff"))
	s.wants(s.a.Log(coppice.LevelOff, "a record has a level"), coppice.ErrInvalidArgument)
	s.wants(s.a.Log(coppice.LevelInfo, "no UTF-8: \xff"), coppice.ErrInvalidArgument)
}

// ---------------------------------------------------------------- names and nodes

func TestNamesAreTakenOnceAndFoundWhereSomebodyHasThem(t *testing.T) {
	s := play(t)
	s.equal(s.a.Path(), "/"+tree+"/a")
	_, err := s.node.Actor("a")
	s.wants(err, coppice.ErrNameTaken)
	_, err = s.node.Actor("a/b")
	s.wants(err, coppice.ErrBadName)
	_, err = s.a.Find(s.ctx, "/"+tree+"/nobody")
	s.wants(err, coppice.ErrNotFound)
	if !strings.Contains(err.Error(), "/nobody") {
		t.Fatal(err)
	}
	_, err = s.a.Find(s.ctx, "/elsewhere/nobody")
	s.wants(err, coppice.ErrUnreachable)
	_, err = s.a.Find(s.ctx, "/"+tree+"\x00/a")
	s.wants(err, coppice.ErrInvalidArgument)
	s.wants(s.a.Join("a\x00b"), coppice.ErrInvalidArgument)
	_, err = coppice.Open(s.ctx, coppice.NodeOptions{Name: tree})
	s.wants(err, coppice.ErrNameTaken)
	_, err = coppice.Open(s.ctx, coppice.NodeOptions{Tree: "a-tree-that-does-not-run"})
	s.wants(err, coppice.ErrNotFound)
	_, err = coppice.Open(s.ctx, coppice.NodeOptions{Tree: "one", Parent: "unix://other"})
	s.wants(err, coppice.ErrInvalidArgument)
}

func TestAChildIsOneThatASupervisorHasStarted(t *testing.T) {
	if coppice.IsChild() {
		t.Fatal("nobody has started this as a child")
	}
	code := coppice.RunAsChild(context.Background(), func(context.Context, *coppice.Actor) error {
		t.Error("it has a place in a tree")
		return nil
	})
	if code == 0 {
		t.Fatal("it ended well")
	}
}

func TestATreeIsJoinedByItsNameAndByAnEndpoint(t *testing.T) {
	s := play(t)
	endpoint := "unix://" + tree + ".below"
	middle, err := coppice.Open(s.ctx, coppice.NodeOptions{
		Name:     tree + "-m",
		Tree:     tree,
		Listen:   []string{endpoint},
		LogLevel: coppice.LevelOff,
	})
	s.must(err)
	leaf, err := coppice.Open(s.ctx, coppice.NodeOptions{Name: tree + "-l", Parent: endpoint, LogLevel: coppice.LevelOff})
	s.must(err)
	me, err := leaf.Actor("me")
	s.must(err)
	there, err := middle.Actor("there")
	s.must(err)
	s.serve(answer)
	for _, path := range []string{s.b.Path(), there.Path()} {
		to, err := me.Find(s.ctx, path)
		s.must(err)
		if path == s.b.Path() {
			for _, v := range values[:len(values)-1] {
				got, err := me.Ask(s.ctx, to, v.sent)
				s.must(err)
				s.equal(within(got), within([]any{v.arrives}))
			}
		} else {
			s.must(me.Send(to, "hello"))
			s.equal(s.receive(there), "hello")
			number, err := me.Monitor(to)
			s.must(err)
			s.must(there.Close())
			s.must(middle.Close())
			mail, err := me.Receive(s.ctx)
			s.must(err)
			s.equal(mail.Number(), number)
			s.must(mail.Close())
		}
		s.must(to.Close())
	}
	s.must(me.Close())
	// Its way to the tree has gone with middle: what the tree had not acknowledged until then, it cannot hear of.
	if err := leaf.Close(); err != nil {
		s.wants(err, coppice.ErrOutcomeUnknown)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := coppice.Open(ctx, coppice.NodeOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	options := coppice.NodeOptions{Parent: "unix://nobody-is-there", LogLevel: coppice.LevelOff}
	if _, err := coppice.Open(ctx, options); !errors.Is(err, coppice.ErrTimeout) {
		t.Fatal(err)
	}
}

// ---------------------------------------------------------------- handles

func TestWhatWasClosedIsToldAsSuch(t *testing.T) {
	s := play(t)
	actor, err := s.node.Actor("c")
	s.must(err)
	own, err := actor.Ref()
	s.must(err)
	s.must(s.a.Send(s.toB, 1))
	mail, err := s.b.Receive(s.ctx)
	s.must(err)
	for i := 0; i < 2; i++ {
		s.must(mail.Close())
		s.must(actor.Close())
		s.must(own.Close())
	}
	s.wants(s.a.Send(own, 1), coppice.ErrClosed)
	s.wants(actor.Send(s.toB, 1), coppice.ErrClosed)
	s.wants(actor.Join("x"), coppice.ErrClosed)
	s.wants(actor.GiveUp("x"), coppice.ErrClosed)
	s.wants(actor.Log(coppice.LevelInfo, "x"), coppice.ErrClosed)
	s.wants(mail.Reply(1), coppice.ErrClosed)
	for _, call := range []func() error{
		func() error { _, err := actor.Receive(s.ctx); return err },
		func() error { _, err := actor.Peek(s.ctx); return err },
		func() error { _, err := actor.Poll(); return err },
		func() error { _, err := actor.Ref(); return err },
		func() error { _, err := actor.Find(s.ctx, s.b.Path()); return err },
		func() error { _, err := actor.Ask(s.ctx, s.toB, 1); return err },
		func() error { _, err := actor.Descriptor(); return err },
		func() error { _, err := actor.Publish("x", 1); return err },
		func() error { _, err := actor.Monitor(s.toB); return err },
		func() error { _, err := s.a.Ask(s.ctx, own, 1); return err },
		func() error { _, err := mail.Sender(); return err },
	} {
		err := call()
		s.wants(err, coppice.ErrClosed)
		if !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
	}
	if _, open := <-actor.Mails(s.ctx); open {
		t.Fatal("a closed actor has mail")
	}
	s.must(s.node.Close())
	_, err = s.node.Actor("d")
	s.wants(err, coppice.ErrClosed)
	s.wants(s.a.Send(s.toB, 1), coppice.ErrStopping)
}

func TestWhatWasNeverOpenedIsToldAsSuch(t *testing.T) {
	s := play(t)
	for _, a := range []*coppice.Actor{nil, {}} {
		for _, call := range []func() error{
			func() error { _, err := a.Receive(s.ctx); return err },
			func() error { _, err := a.Poll(); return err },
			func() error { _, err := a.Ask(s.ctx, s.toB, 1); return err },
			func() error { _, err := a.Ref(); return err },
			func() error { _, err := a.Descriptor(); return err },
			func() error { return a.Send(s.toB, 1) },
			func() error { return a.Join("x") },
			func() error { return a.Log(coppice.LevelInfo, "x") },
		} {
			s.wants(call(), coppice.ErrInvalidArgument)
		}
		s.must(a.Close())
		s.equal(a.Path(), "")
	}
	for _, r := range []*coppice.Ref{nil, {}} {
		s.wants(s.a.Send(r, 1), coppice.ErrInvalidArgument)
		s.must(r.Close())
		s.equal(r.Equal(s.toB), false)
	}
	for _, n := range []*coppice.Node{nil, {}} {
		_, err := n.Actor("x")
		s.wants(err, coppice.ErrInvalidArgument)
		s.must(n.Close())
	}
	for _, m := range []*coppice.Mail{nil, {}} {
		s.wants(m.Reply(1), coppice.ErrInvalidArgument)
		s.must(m.Close())
		s.equal(m.IsRequest(), false)
	}
	s.equal(coppice.TypeID("a\x00b"), uint64(0))
}

// In a function of its own, whose variables are gone when it returns.
//
//go:noinline
func forget(s *scene) {
	actor, err := s.node.Actor("forgotten")
	s.must(err)
	to, err := s.a.Find(s.ctx, actor.Path())
	s.must(err)
	s.must(s.a.SendWait(s.ctx, to, []any{to}))
	_, err = actor.Receive(s.ctx) // which makes descriptors of its own
	s.must(err)
	_, err = actor.Receive(later(s, time.Millisecond))
	s.wants(err, coppice.ErrTimeout)
}

func TestTheCollectorClosesWhatNobodyHas(t *testing.T) {
	s := play(t)
	before := coppice.OpenHandles()
	forget(s)
	for coppice.OpenHandles() != before {
		if s.ctx.Err() != nil {
			t.Fatalf("%d handles, %d before", coppice.OpenHandles(), before)
		}
		runtime.GC()
		runtime.Gosched()
	}
}

// ---------------------------------------------------------------- the example

func TestHelloSaysHelloAndIsToldThePrice(t *testing.T) {
	hello := os.Getenv("COPPICE_GO_HELLO") // where it has been built
	if hello == "" {
		hello = filepath.Join(t.TempDir(), "hello")
		if said, err := exec.Command("go", "build", "-o", hello, "coppice/examples/hello").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	s := play(t)
	program := exec.CommandContext(s.ctx, hello, tree, s.b.Path())
	var said bytes.Buffer
	program.Stdout = &said
	s.must(program.Start())
	s.equal(s.receive(s.b), "hello")
	mail, err := s.b.Receive(s.ctx)
	s.must(err)
	s.equal(mail.Value, coppice.Map{{Key: "price of", Value: "tea"}})
	s.must(mail.Reply(2.5))
	s.must(mail.Close())
	s.must(program.Wait())
	s.equal(said.String(), "2.5\n")
}
