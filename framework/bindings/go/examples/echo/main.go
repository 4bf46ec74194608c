// A child of a supervisor that gives back whatever it is asked.
//
// In C++: child("echo", in_process("./echo")). In a deployment file: program = "./echo".
package main

// [echo]
import (
	"context"
	"os"

	"coppice"
)

func echo(ctx context.Context, me *coppice.Actor) error {
	for mail := range me.Mails(ctx) { // until its supervisor ends it
		if !mail.IsRequest() {
			me.Logf(coppice.LevelInfo, "got %v", mail.Value)
		} else if err := mail.Reply(mail.Value); err != nil {
			return err
		}
		mail.Close()
	}
	return nil
}

func main() {
	os.Exit(coppice.RunAsChild(context.Background(), echo))
}

// [/echo]
