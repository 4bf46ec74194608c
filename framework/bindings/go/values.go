// Go values as values of Coppice, and back. What is sent is copied; nothing here is kept.
package coppice

/*
#include <coppice.h>

// What a value holds, read in one call: each call into C has its price.
typedef struct {
	int kind, truth;
	int64_t integer;
	uint64_t natural; // also a tag, or the number of a record's type
	double real;
	const void *at; // lives as long as the value
	size_t size;
} go_content;

static inline int go_read(coppice_value v, go_content *out) {
	const int code = coppice_value_kind_of(v, &out->kind);
	if (code != COPPICE_OK) return code;
	switch (out->kind) {
	case COPPICE_BOOL: return coppice_get_bool(v, &out->truth);
	case COPPICE_INT: return coppice_get_int64(v, &out->integer);
	case COPPICE_UINT: return coppice_get_uint64(v, &out->natural);
	case COPPICE_REAL: return coppice_get_double(v, &out->real);
	case COPPICE_TEXT: return coppice_get_text(v, (const char **)&out->at, &out->size);
	case COPPICE_BYTES: return coppice_get_bytes(v, &out->at, &out->size);
	case COPPICE_TAGGED: return coppice_get_tagged(v, &out->natural, &out->at, &out->size);
	case COPPICE_RECORD: coppice_value_type(v, &out->natural); // and its size:
	case COPPICE_LIST:
	case COPPICE_MAP: return coppice_value_size(v, &out->size);
	default: return COPPICE_OK;
	}
}

static inline int go_new_text(_GoString_ text, coppice_value *out) {
	return coppice_new_text(_GoStringPtr(text), _GoStringLen(text), out);
}
*/
import "C"

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Map is a map in the order in which it was sent, with keys of any kind: what every map arrives as. Go's own maps can be sent, too.
//
//	nil, bool, float64, string, []byte   as they are
//	int64, uint64                        what was sent as signed, as unsigned
//	[]any, Map, Record, Tagged, *Ref     lists, maps, records, tagged bytes, references
//
// Those are the types that values arrive as; each can be sent, and so can every type that is made of one of them: int, []string,
// map[string]int, time.Duration. Structs and pointers cannot.
type Map []Pair

// Pair is a key of a Map and what it leads to.
type Pair struct{ Key, Value any }

// Get returns what the first equal key leads to. Numbers are int64, uint64 or float64 in what was received.
func (m Map) Get(key any) (value any, found bool) {
	for _, pair := range m {
		if reflect.DeepEqual(pair.Key, key) {
			return pair.Value, true
		}
	}
	return nil, false
}

// Record has fields in order, as a C++ aggregate. Its type is the number of a message type, TypeID("shop::order"), and it arrives
// at a C++ actor as that; 0: of none.
type Record struct {
	Type   uint64
	Fields []any
}

// Tagged is bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which.
type Tagged struct {
	Tag     uint64
	Content []byte
}

// AsTagged reads a tagged value, also one that was part of another value, or of a request: such a one arrives as a Record of a number
// and bytes.
func AsTagged(value any) (tagged Tagged, is bool) {
	switch v := value.(type) {
	case Tagged:
		return v, true
	case Record:
		if v.Type != 0 || len(v.Fields) != 2 {
			break
		}
		content, isBytes := v.Fields[1].([]byte)
		switch tag := v.Fields[0].(type) {
		case uint64:
			return Tagged{tag, content}, isBytes
		case int64:
			return Tagged{uint64(tag), content}, isBytes && tag >= 0
		}
	}
	return Tagged{}, false
}

// Ref leads to an actor, wherever it runs, also after it was restarted.
type Ref struct{ h *handle }

func (r *Ref) handle() *handle {
	if r == nil {
		return nil
	}
	return r.h
}

// Equal tells whether both lead to the same actor.
func (r *Ref) Equal(other *Ref) bool {
	a, b := r.handle(), other.handle()
	return call(func() C.int { return C.coppice_same(a.get(), b.get()) }, a, b) == nil
}

// String is its text for people, often its path.
func (r *Ref) String() string {
	var text [1024]C.char
	h := r.handle()
	if err := call(func() C.int { return C.coppice_ref_text(h.get(), &text[0], C.size_t(len(text))) }, h); err != nil {
		return "ref: " + codeOf(err).String()
	}
	return C.GoString(&text[0])
}

// Close gives it back. The second time it does nothing.
func (r *Ref) Close() error { return r.handle().close() }

// ---- to the library

// A value that holds itself would be followed for ever. The library has the real limit, 32.
const deepest = 100

func newValue(value any) (C.coppice_value, error) { return build(value, 0) }

// withValue lends value to function as a value of the library's.
func withValue(value any, function func(v C.coppice_value) error) error {
	v, err := newValue(value)
	if err != nil {
		return err
	}
	defer closeValue(v)
	return function(v)
}

func closeValue(v C.coppice_value) { C.coppice_close(v) }

// build makes a new value; whoever has it closes it, or adds it to another one.
func build(value any, depth int) (C.coppice_value, error) {
	if depth > deepest {
		return 0, &Error{Code: ErrTooLarge, Text: "lists, records and maps are too deep within one another"}
	}
	switch v := value.(type) {
	case nil:
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_nothing(out) })
	case string:
		return made(func(out *C.uint64_t) C.int { return C.go_new_text(v, out) })
	case []byte:
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_bytes(at(v), C.size_t(len(v)), out) })
	case *Ref:
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_ref(v.handle().get(), out) }, v.handle())
	case Tagged:
		return made(func(out *C.uint64_t) C.int {
			return C.coppice_new_tagged(C.uint64_t(v.Tag), at(v.Content), C.size_t(len(v.Content)), out)
		})
	case Record:
		whole, err := made(func(out *C.uint64_t) C.int { return C.coppice_new_record_of(C.uint64_t(v.Type), out) })
		return fill(whole, err, len(v.Fields), func(i int) error { return add(whole, v.Fields[i], depth) })
	case Map:
		whole, err := made(func(out *C.uint64_t) C.int { return C.coppice_new_map(out) })
		return fill(whole, err, len(v), func(i int) error { return put(whole, v[i].Key, v[i].Value, depth) })
	}
	return buildByKind(reflect.ValueOf(value), depth)
}

func buildByKind(v reflect.Value, depth int) (C.coppice_value, error) {
	switch v.Kind() {
	case reflect.Bool:
		truth := C.int(0)
		if v.Bool() {
			truth = 1
		}
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_bool(truth, out) })
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_int64(C.int64_t(v.Int()), out) })
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_uint64(C.uint64_t(v.Uint()), out) })
	case reflect.Float32, reflect.Float64:
		return made(func(out *C.uint64_t) C.int { return C.coppice_new_double(C.double(v.Float()), out) })
	case reflect.String:
		return build(v.String(), depth)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			content := make([]byte, v.Len())
			for i := range content {
				content[i] = byte(v.Index(i).Uint())
			}
			return build(content, depth)
		}
		whole, err := made(func(out *C.uint64_t) C.int { return C.coppice_new_list(out) })
		return fill(whole, err, v.Len(), func(i int) error { return add(whole, v.Index(i).Interface(), depth) })
	case reflect.Map:
		whole, err := made(func(out *C.uint64_t) C.int { return C.coppice_new_map(out) })
		pairs := v.MapRange()
		return fill(whole, err, v.Len(), func(int) error {
			if !pairs.Next() {
				return nil // another goroutine has taken some out
			}
			return put(whole, pairs.Key().Interface(), pairs.Value().Interface(), depth)
		})
	}
	return 0, &Error{Code: ErrInvalidArgument, Text: fmt.Sprintf("a %v cannot be sent: it is no value of Coppice", v.Type())}
}

// fill calls one for each part of a whole; what cannot be filled is closed.
func fill(whole C.coppice_value, err error, parts int, one func(i int) error) (C.coppice_value, error) {
	for i := 0; err == nil && i < parts; i++ {
		err = one(i)
	}
	if err != nil {
		closeValue(whole)
		return 0, err
	}
	return whole, nil
}

func add(whole C.coppice_value, part any, depth int) error {
	p, err := build(part, depth+1)
	if err != nil {
		return err
	}
	return call(func() C.int { return C.coppice_add(whole, p) }) // takes the part, whatever comes of it
}

func put(whole C.coppice_value, key, mapped any, depth int) error {
	k, err := build(key, depth+1)
	if err != nil {
		return err
	}
	m, err := build(mapped, depth+1)
	if err != nil {
		closeValue(k)
		return err
	}
	return call(func() C.int { return C.coppice_put(whole, k, m) })
}

// at is where bytes begin; NULL if there are none.
func at(content []byte) unsafe.Pointer {
	if len(content) == 0 {
		return nil
	}
	return unsafe.Pointer(&content[0])
}

// ---- from the library

// valueSeen copies what a mail brought, if that is simple, while the mail is open.
func valueSeen(view *C.coppice_view) (value any, isSimple bool) {
	return simple(&C.go_content{
		kind:    C.int(view.kind),
		truth:   C.int(view.integer),
		integer: view.integer,
		natural: C.uint64_t(view.integer),
		real:    view.real,
		at:      view.bytes,
		size:    view.length,
	})
}

// simple copies what has no parts and no type of this package.
func simple(c *C.go_content) (value any, isSimple bool) {
	switch c.kind {
	case C.COPPICE_NOTHING:
		return nil, true
	case C.COPPICE_BOOL:
		return c.truth != 0, true
	case C.COPPICE_INT:
		return int64(c.integer), true
	case C.COPPICE_UINT:
		return uint64(c.natural), true
	case C.COPPICE_REAL:
		return float64(c.real), true
	case C.COPPICE_TEXT:
		return string(bytesAt(c.at, c.size)), true
	case C.COPPICE_BYTES:
		return append([]byte{}, bytesAt(c.at, c.size)...), true
	}
	return nil, false
}

// takeValue returns what a value holds, and closes it.
func takeValue(v C.coppice_value) (any, error) {
	defer closeValue(v)
	var c C.go_content
	if err := call(func() C.int { return C.go_read(v, &c) }); err != nil {
		return nil, err
	}
	if value, isSimple := simple(&c); isSimple {
		return value, nil
	}
	switch c.kind {
	case C.COPPICE_TAGGED:
		return Tagged{uint64(c.natural), append([]byte{}, bytesAt(c.at, c.size)...)}, nil
	case C.COPPICE_LIST:
		return takeParts(v, int(c.size))
	case C.COPPICE_RECORD:
		fields, err := takeParts(v, int(c.size))
		return Record{uint64(c.natural), fields}, err
	case C.COPPICE_MAP:
		all := make(Map, int(c.size))
		for i := range all {
			key, err := made(func(out *C.uint64_t) C.int { return C.coppice_value_key(v, C.size_t(i), out) })
			if err == nil {
				all[i].Key, err = takeValue(key)
			}
			if err == nil {
				all[i].Value, err = takePart(v, i)
			}
			if err != nil {
				return nil, err
			}
		}
		return all, nil
	case C.COPPICE_REF:
		r, err := made(func(out *C.uint64_t) C.int { return C.coppice_get_ref(v, out) })
		if err != nil {
			return nil, err
		}
		return &Ref{own(r, false)}, nil
	}
	return nil, nil
}

func takeParts(v C.coppice_value, size int) ([]any, error) {
	all := make([]any, size)
	for i := range all {
		part, err := takePart(v, i)
		if err != nil {
			return nil, err
		}
		all[i] = part
	}
	return all, nil
}

func takePart(v C.coppice_value, i int) (any, error) {
	part, err := made(func(out *C.uint64_t) C.int { return C.coppice_value_at(v, C.size_t(i), out) })
	if err != nil {
		return nil, err
	}
	return takeValue(part)
}

// bytesAt is the library's memory: it is to be copied while its value is open.
func bytesAt(at unsafe.Pointer, size C.size_t) []byte {
	if size == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(at), int(size))
}
