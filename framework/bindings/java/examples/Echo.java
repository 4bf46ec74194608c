// A child of a supervisor that gives back whatever it is asked.
// In C++: child("echo", in_process("java", {"Echo"})). In a deployment file: program = "java", arguments = ["Echo"].
// [echo]
import coppice.Actor;
import coppice.Coppice;
import coppice.Mail;

public class Echo {
    static void echo(Actor me) {
        for (Mail mail : me) { // until its supervisor ends it
            try (mail) {
                if (mail.isRequest()) mail.reply(mail.value());
                else me.log("got " + mail.value());
            }
        }
    }

    public static void main(String[] args) {
        System.exit(Coppice.runAsChild(Echo::echo));
    }
}
// [/echo]
