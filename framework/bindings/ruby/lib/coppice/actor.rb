# Actors of this process.
require "io/wait"

module Coppice
  # A mailbox of this process, with a name in the tree. Enumerated, it gives its mail until it is asked to end.
  #
  # Any thread; one at a time receives. Times are in seconds, nil is for ever.
  class Actor < Handle
    include Enumerable

    public_class_method :new

    LEVELS = {trace: 1, debug: 2, info: 3, warn: 4, error: 5, off: 6}.freeze
    USUAL = 5.0 # seconds, for an answer
    private_constant :LEVELS, :USUAL

    def self.level(name) = LEVELS.fetch(name) { raise ArgumentError, "#{name.inspect} is none of #{LEVELS.keys.inspect}" }

    def initialize(handle)
      super
      @peeked = {} # a mail has one handle, hence one object, also if it was peeked at first
      @lock = Mutex.new
    end

    def path = ABI.content(:path, handle).force_encoding(Encoding::UTF_8)

    # A new ref to it.
    def ref = Ref.new(ABI.made(:self, handle))

    # ---- others

    # NotFound: that node has no such actor. Unreachable: no link leads to that node.
    def find(path)
      Ref.new(ABI.made(:find, handle, ABI.name(path)))
    end

    # Returns when it is on its way. `wait`: for room in the receiver's mailbox.
    def send(to, value = nil, wait: 0)
      target = of(to, Ref, "`to`")
      Values.with(value) { |made| ABI.call(:send, handle, target, made, ABI.milliseconds(wait)) }
    end

    # Sends a request and returns its answer. Timeout after that time; Failed, NoReply and others at once.
    def ask(to, value = nil, within: USUAL)
      target = of(to, Ref, "`to`")
      Values.from_handle(Values.with(value) { |made| ABI.made(:ask, handle, target, made, ABI.milliseconds(within)) })
    end

    # Asks an actor to end when it has handled its mail.
    def stop(who) = ABI.call(:stop, handle, of(who, Ref, "`who`"))

    # Asks it to end now, and kills it if that takes longer.
    def shutdown(who, within: USUAL) = ABI.call(:shutdown, handle, of(who, Ref, "`who`"), ABI.milliseconds(within))

    def kill(who) = ABI.call(:kill, handle, of(who, Ref, "`who`"))

    # Mail that ended? with this number comes when its present life ends; at once if it has none.
    def monitor(who) = ABI.made(:monitor, handle, of(who, Ref, "`who`"))

    def demonitor(number) = ABI.call(:forget_monitor, handle, number)

    # ---- mail

    # The next mail. Timeout if there is none in that time, Stopping if the actor is asked to end. With a block, which returns what
    # the block does, it is closed at its end.
    def receive(within: nil, &block)
      mail = await(:receive, within) { |handle| @peeked.delete(handle) || Mail.new(handle) }
      block ? mail.closed_after(&block) : mail
    end

    # The next mail; nil: there is none now.
    def poll
      receive(within: 0)
    rescue Timeout
      nil
    end

    # The mail that receive would return, which stays where it is until it is received, or closed.
    def peek(within: nil)
      await(:peek, within) do |handle|
        @peeked.delete_if { |_, mail| mail.closed? }
        @peeked[handle] ||= Mail.new(handle)
      end
    end

    # Mail until the actor is asked to end. It is yours to close.
    def each
      return to_enum unless block_given?

      while (mail = next_mail)
        yield mail
      end
      self
    end

    # As each, and each mail is closed when its block is left. What is answered later is received by other means.
    def serve
      each do |mail|
        yield mail
      ensure
        mail.close
      end
    end

    # Readable while there is mail, or the actor is asked to end: for IO.select and loops. Neither read nor close it.
    def to_io
      @lock.synchronize do
        # Of its own, so that it is not closed while somebody waits for it.
        @io ||= IO.for_fd(ABI.made(:descriptor, handle, form: "l"), autoclose: false).dup
      end
    end

    def fileno = to_io.fileno

    # ---- groups

    def join(group) = ABI.call(:join, handle, ABI.name(group))
    def leave(group) = ABI.call(:leave, handle, ABI.name(group))

    # To the group's members on this node, but for itself. Returns how many took it.
    def publish(group, value = nil)
      Values.with(value) { |made| ABI.made(:publish, handle, ABI.name(group), made) }
    end

    # ---- itself

    # A record in the tree's log, with the actor's path; of :trace, :debug, :info, :warn, :error.
    def log(text, level = :info)
      words = ABI.text(text)
      ABI.call(:log, handle, Actor.level(level), words, words.bytesize)
    end

    # The child has started: after run_as_child(announce: false).
    def ready = ABI.call(:ready, handle)

    # Says that the actor ends in failure, with that text as its reason. Then close it.
    def give_up(text)
      words = ABI.text(text)
      ABI.call(:give_up, handle, words, words.bytesize)
    end

    # Ends the actor; its name is free.
    def close
      super # first, so that who waits for its mail finds it closed
      @lock.synchronize do
        @peeked.each_value(&:close)
        @peeked.clear
        @io&.close
        @io = nil
      end
    end

    def inspect = "#<Coppice::Actor #{closed? ? "closed" : path}>"

    private

    def next_mail
      receive
    rescue Stopping
      nil
    end

    # The wait is for the descriptor, which Ruby can interrupt. No exception of another thread's comes between a handle and its object.
    def await(name, within, &object)
      last = within && (now + within)
      waited = false
      loop do
        mail = Thread.handle_interrupt(Object => :never) { at_once(name, &object) }
        return mail if mail

        left = last && (last - now)
        raise Error.of(Error::TIMEOUT, "no mail came in time") if left && left <= 0

        waited = true
        wait(left)
      end
    rescue Closed
      raise unless waited

      raise Error.of(Error::STOPPING, "the actor was closed")
    end

    def at_once(name)
      @lock.synchronize do
        mail = ABI.at_once(name, handle)
        mail && yield(mail)
      end
    end

    def wait(left)
      to_io.wait_readable(left)
    rescue IOError
      nil # it was closed meanwhile
    end

    # At its end, whatever its words are.
    def give_up_for(failure)
      return if failure.is_a?(SystemExit) && failure.success?

      give_up("#{failure.class}: #{failure.message}".encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub)
    rescue Error
      nil # it is ending already
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
