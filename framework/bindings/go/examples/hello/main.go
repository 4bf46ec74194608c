// Says hello to an actor of a tree of this machine, and asks it something: hello TREE PATH.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"coppice"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx := context.Background()
	// [hello]
	node, err := coppice.Open(ctx, coppice.NodeOptions{Tree: os.Args[1]})
	must(err)
	defer node.Close()
	me, err := node.Actor("hello")
	must(err)
	shop, err := me.Find(ctx, os.Args[2])
	must(err)
	must(me.Send(shop, "hello"))
	price, err := me.Ask(ctx, shop, map[string]string{"price of": "tea"})
	must(err)
	fmt.Println(price)
	// [/hello]
}
