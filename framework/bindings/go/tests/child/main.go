// The child of tests/capi/languages_test.cpp, which says what a child does.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"time"

	"coppice"
)

func values(own *coppice.Ref, large int) []any {
	return []any{
		nil,
		true,
		false,
		0,
		-1,
		math.MaxInt64,
		math.MinInt64,
		uint64(math.MaxUint64),
		0.5,
		math.Inf(-1),
		math.NaN(),
		math.SmallestNonzeroFloat64,
		"",
		"with a zero \x00 inside",
		"four bytes: \U0001d11e",
		strings.Repeat("x", large),
		[]byte{},
		[]byte{0x00, 0xff},
		bytes.Repeat([]byte{0xab}, large),
		[]any{},
		[]any{int64(1), []any{"two", nil}},
		coppice.Map{},
		coppice.Map{{Key: "price", Value: 2.5}, {Key: int64(7), Value: []any{true}}},
		own,
		coppice.Record{Fields: []any{int64(1), "x"}},
		coppice.Tagged{Tag: math.MaxUint64, Content: []byte("\x00{}")},
	}
}

func isSame(sent, back any) bool {
	switch sent := sent.(type) {
	case int:
		return reflect.DeepEqual(int64(sent), back)
	case float64:
		if number, is := back.(float64); is && math.IsNaN(sent) {
			return math.IsNaN(number)
		}
	case *coppice.Ref:
		ref, is := back.(*coppice.Ref)
		return is && sent.Equal(ref)
	case coppice.Tagged:
		tagged, is := coppice.AsTagged(back)
		return is && reflect.DeepEqual(sent, tagged)
	}
	return reflect.DeepEqual(sent, back)
}

func askForAll(ctx context.Context, me *coppice.Actor, path string, large int) ([]any, error) {
	to, err := me.Find(ctx, path)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	own, err := me.Ref()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	wrong := []any{}
	for _, value := range values(own, large) {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		back, err := me.Ask(limited, to, coppice.Record{Fields: []any{value}})
		cancel()
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%.100s: %v", fmt.Sprint(value), err))
		} else if !isSame(value, back) {
			wrong = append(wrong, fmt.Sprintf("%.100s came back as %.100s", fmt.Sprint(value), fmt.Sprint(back)))
		}
		if ref, is := back.(*coppice.Ref); is {
			ref.Close()
		}
	}
	return wrong, nil
}

func answer(ctx context.Context, me *coppice.Actor, mail *coppice.Mail) error {
	asked := mail.Value.(coppice.Record).Fields
	switch len(asked) {
	case 0:
		return mail.Reply(os.Getpid())
	case 1:
		if ref, is := asked[0].(*coppice.Ref); is {
			defer ref.Close()
		}
		return mail.Reply(asked[0])
	}
	wrong, err := askForAll(ctx, me, asked[0].(string), int(asked[1].(int64)))
	if err != nil {
		return err
	}
	return mail.Reply(wrong)
}

func child(ctx context.Context, me *coppice.Actor) error {
	for mail := range me.Mails(ctx) {
		if !mail.IsRequest() {
			return errors.New(mail.Value.(string))
		}
		if err := answer(ctx, me, mail); err != nil {
			return err
		}
		mail.Close()
	}
	return nil
}

func main() {
	os.Exit(coppice.RunAsChild(context.Background(), child))
}
