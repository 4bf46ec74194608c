# Says hello to an actor of a tree of this machine, and asks it something: hello.rb TREE PATH.
# [hello]
require "coppice"

Coppice::Node.open(tree: ARGV[0]) do |node|
  node.actor("hello") do |me|
    shop = me.find(ARGV[1])
    me.send(shop, "hello")
    p me.ask(shop, {"price of" => "tea"})
  end
end
# [/hello]
