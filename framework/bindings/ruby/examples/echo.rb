# A child of a supervisor that gives back whatever it is asked.
#
# In C++: child("echo", in_process("ruby", {"echo.rb"})). In a deployment file: program = "ruby", arguments = ["echo.rb"].
# [echo]
require "coppice"

code = Coppice.run_as_child do |me|
  me.serve do |mail| # until its supervisor ends it
    if mail.request?
      mail.reply(mail.value)
    else
      me.log("got #{mail.value.inspect}")
    end
  end
end
exit code
# [/echo]
