// Nodes: this process's part in a tree, which runs in threads of the library's own. Any goroutine.
package coppice

// #include <coppice.h>
// #include <stdlib.h>
import "C"

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Level is how much a record of the log matters.
type Level int

// The levels. LevelOff is for NodeOptions alone.
const (
	LevelTrace Level = C.COPPICE_TRACE
	LevelDebug Level = C.COPPICE_DEBUG
	LevelInfo  Level = C.COPPICE_INFO
	LevelWarn  Level = C.COPPICE_WARN
	LevelError Level = C.COPPICE_ERROR
	LevelOff   Level = C.COPPICE_OFF
)

// NodeOptions says which tree a node joins: the one of that name on this machine, or at the endpoint of a parent. Without either it
// begins a tree, which can be joined by the node's name if it has one.
type NodeOptions struct {
	Name       string        // "": one that nobody else has
	Tree       string        // joins the tree of that name on this machine
	Parent     string        // or joins at this endpoint, "tcp://host:4711?..."
	Listen     []string      // where others can join below it
	SecretFile string        // both sides prove that they know what is in it
	SecretEnv  string        // the same, from a variable of the environment
	Hold       time.Duration // how long the tree may be out of reach before it counts as lost; 0: a minute
	JoinWithin time.Duration // time limit for joining; 0: that of the context; 5 s or more
	LogLevel   Level         // 0: LevelInfo. What is logged goes to standard error
}

// Node is this process's part in a tree.
type Node struct {
	h     *handle
	ended chan struct{} // closed by Close
	once  sync.Once
}

// Open returns a node that has joined. ErrNotFound: no such tree runs. ErrUnreachable: nobody is there.
func Open(ctx context.Context, options NodeOptions) (*Node, error) {
	if wrongVersion != nil {
		return nil, wrongVersion
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, "open")
	}
	if deadline, has := ctx.Deadline(); has && options.JoinWithin <= 0 {
		options.JoinWithin = time.Until(deadline)
	}
	type opened struct {
		node *Node
		err  error
	}
	// The library joins on a goroutine of its own, which closes a node that nobody waits for any more.
	joined := make(chan opened)
	go func() {
		node, err := open(options)
		select {
		case joined <- opened{node, err}:
		case <-ctx.Done():
			_ = node.Close()
		}
	}()
	select {
	case o := <-joined:
		return o.node, o.err
	case <-ctx.Done():
		return nil, ended(ctx, "open")
	}
}

func open(options NodeOptions) (*Node, error) {
	given := C.coppice_node_options{
		hold_ms:   milliseconds(options.Hold),
		join_ms:   milliseconds(options.JoinWithin),
		log_level: C.int32_t(options.LogLevel),
	}
	given.size = C.sizeof_coppice_node_options
	for _, each := range []struct {
		text  string
		field **C.char
	}{
		{options.Name, &given.name},
		{options.Tree, &given.tree},
		{options.Parent, &given.parent},
		{strings.Join(options.Listen, ","), &given.listen},
		{options.SecretFile, &given.secret_file},
		{options.SecretEnv, &given.secret_env},
	} {
		text, free, err := nameArgument(each.text)
		if err != nil {
			return nil, err
		}
		defer free()
		*each.field = text
	}
	number, err := made(func(out *C.uint64_t) C.int { return C.coppice_open_node(&given, out) })
	if err != nil {
		return nil, err
	}
	return newNode(number), nil
}

func newNode(number C.uint64_t) *Node {
	return &Node{h: own(number, true), ended: make(chan struct{})}
}

func (n *Node) handle() *handle {
	if n == nil {
		return nil
	}
	return n.h
}

// ActorOptions are for Node.ActorWith.
type ActorOptions struct {
	Name      string // its path is /NODE/NAME; "": one that nobody else has
	Mailbox   uint32 // messages that may wait in it; 0: 65,536
	StopsNode bool   // when it ends, so does the node
}

// Actor opens an actor of this process: a mailbox with a name in the tree. ErrNameTaken, ErrBadName.
func (n *Node) Actor(name string) (*Actor, error) { return n.ActorWith(ActorOptions{Name: name}) }

// ActorWith is Actor with all options.
func (n *Node) ActorWith(options ActorOptions) (*Actor, error) {
	name, free, err := nameArgument(options.Name)
	if err != nil {
		return nil, err
	}
	defer free()
	given := C.coppice_actor_options{name: name, mailbox: C.uint32_t(options.Mailbox)}
	given.size = C.sizeof_coppice_actor_options
	if options.StopsNode {
		given.stops_node = 1
	}
	h := n.handle()
	number, err := made(func(out *C.uint64_t) C.int { return C.coppice_open_actor(h.get(), &given, out) }, h)
	if err != nil {
		return nil, err
	}
	return newActor(number, n)
}

// Close leaves the tree: the node's actors end, and what waits for them returns ErrStopping. The second time it does nothing.
func (n *Node) Close() error {
	if n == nil {
		return nil
	}
	err := n.h.close()
	n.once.Do(func() {
		if n.ended != nil {
			close(n.ended)
		}
	})
	return err
}

// milliseconds of a time limit: at least one of a time that is something.
func milliseconds(limit time.Duration) C.uint64_t {
	if limit <= 0 {
		return 0
	}
	return C.uint64_t((limit + time.Millisecond - 1) / time.Millisecond)
}

// within is the time limit of a context.
func within(ctx context.Context) C.uint64_t {
	deadline, has := ctx.Deadline()
	if !has {
		return C.COPPICE_FOREVER
	}
	return milliseconds(time.Until(deadline))
}
