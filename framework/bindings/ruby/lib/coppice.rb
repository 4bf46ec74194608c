# Coppice for Ruby: actors of a Coppice tree, by its C library.
#
#     require "coppice"
#
#     Coppice::Node.open(tree: "app") do |node|
#       node.actor("till") do |me|
#         shop = me.find("/app/shop")
#         me.send(shop, "hello")
#         puts me.ask(shop, {"price of" => "tea"})
#         me.serve { |mail| mail.reply(mail.value) if mail.request? } # until the actor is asked to end
#       end
#     end
#
# Values are nil, true, false, Integer (64 bits), Float, String, Array, Hash, Ref, Tagged and Record; a String whose encoding is
# binary is bytes. Errors are exceptions, one class for each that programs handle, all of them Coppice::Error with the code of the
# one table. A program that a supervisor starts is one line: exit Coppice.run_as_child { |me| ... }.
#
# The library is libcoppice.so.1, or what COPPICE_LIBRARY names. Any thread may call anything; other threads run while one waits.
# After fork the library refuses to work: use Process.spawn.
require_relative "coppice/errors"
require_relative "coppice/abi"
require_relative "coppice/values"
require_relative "coppice/mail"
require_relative "coppice/actor"
require_relative "coppice/node"
