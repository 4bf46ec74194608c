# Nodes: how a process takes part in a tree, also as a supervisor's child.
module Coppice
  # This process's part in a tree: joins the tree of that name on this machine, or at an endpoint, or begins one of its own. When it
  # is closed it leaves the tree, and its actors end.
  class Node < Handle
    # What follows `size` in the options of coppice.h.
    OPTIONS = "Q6QQlx4"
    ACTOR_OPTIONS = "QLl"
    private_constant :OPTIONS, :ACTOR_OPTIONS

    class << self
      # `listen`: endpoints where others can join below it. `hold`: how long the tree may be out of reach before it counts as lost.
      # What is logged at `log_level` (as Actor#log, or :off) goes to standard error. With a block, which returns what the block
      # does, the node is closed at its end.
      def open(name = nil, tree: nil, parent: nil, listen: [], secret_file: nil, secret_env: nil,
               hold: 60.0, join_within: 5.0, log_level: :info, &block)
        endpoints = [*listen].join(",")
        texts = [name, tree, parent, endpoints.empty? ? nil : endpoints, secret_file, secret_env]
        given = [*texts.map { |text| ABI.name_or_nil(text) }, ABI.milliseconds(hold), ABI.milliseconds(join_within),
                 Actor.level(log_level)]
        node = ABI.with_options(OPTIONS, *given) { |options| new(ABI.made(:open_node, options)) }
        block ? node.closed_after(&block) : node
      end

      private :new
    end

    # An actor of this process. `mailbox`: messages that may wait in it; 0: 65,536. With a block, which returns what the block does,
    # the actor is closed at its end.
    def actor(name = nil, mailbox: 0, &block)
      raise ArgumentError, "a mailbox has room for 1 message or more, or 0: 65,536" unless (0...2**32).cover?(mailbox)

      actor = ABI.with_options(ACTOR_OPTIONS, ABI.name_or_nil(name), mailbox, 0) do |options|
        Actor.new(ABI.made(:open_actor, handle, options))
      end
      block ? actor.closed_after(&block) : actor
    end

    def inspect = "#<Coppice::Node#{" closed" if closed?}>"
  end

  # True if a supervisor of a tree has started this process, and its place is not taken yet.
  def self.child? = ABI::IS_CHILD.call == 1

  # The main program of what a supervisor starts: takes its place in the tree, yields the actor, and returns the code for exit. With
  # announce: false the child counts as started when the block calls ready. An exception ends the actor in failure, with its
  # words as the reason, and is raised.
  def self.run_as_child(announce: true)
    raise ArgumentError, "run_as_child needs a block, which gets the actor" unless block_given?

    node = ABI.room
    actor = ABI.room
    ABI.call(:open_child, announce ? 1 : 0, node, actor)
    Node.__send__(:new, node.unpack1("Q")).closed_after do
      Actor.new(actor.unpack1("Q")).closed_after do |me|
        yield me
      rescue Stopping
        nil # as its supervisor wants it
      rescue Exception => failure # rubocop:disable Lint/RescueException
        me.__send__(:give_up_for, failure)
        raise
      end
    end
    ABI::EXIT_CODE.call
  end
end
