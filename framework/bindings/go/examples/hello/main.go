// Says hello to an actor of a tree of this machine, and asks it something: hello TREE PATH.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"coppice"
)

func main() {
	if err := hello(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

// [hello]
func hello(ctx context.Context, tree, path string) error {
	node, err := coppice.Open(ctx, coppice.NodeOptions{Tree: tree})
	if err != nil {
		return err
	}
	defer node.Close()
	me, err := node.Actor("hello")
	if err != nil {
		return err
	}
	shop, err := me.Find(ctx, path)
	if err != nil {
		return err
	}
	if err = me.Send(shop, "hello"); err != nil {
		return err
	}
	price, err := me.Ask(ctx, shop, map[string]string{"price of": "tea"})
	fmt.Println(price)
	return err
}

// [/hello]
