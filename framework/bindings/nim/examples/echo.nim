# A child of a supervisor that gives back whatever it is asked.
#
# In C++: child("echo", in_process("./echo")). In a deployment file: program = "./echo".
# [echo]
import coppice

proc giveBack(me: Actor) =
  for mail in me: # until its supervisor ends it
    if mail.isRequest: mail.reply(mail.value)
    else: me.log("got " & $mail.value)

quit runAsChild(giveBack)
# [/echo]
