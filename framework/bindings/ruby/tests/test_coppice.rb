# The binding against the library, within one process; as a supervised child it is tested in tests/capi.
require "coppice"
require "minitest/autorun"
require "open3"
require "pathname"
require "rbconfig"
require "timeout"
require "tmpdir"

# What the tests see of the library beside the binding.
module Coppice
  def self.open_handles = ABI::OPEN_HANDLES.call
end

TREE = "test-ruby-#{Process.pid}" # found by its name on the whole machine
LONG = 60

VALUES = [
  nil,
  true,
  false,
  0,
  -1,
  2**31,
  2**63 - 1,
  -2**63,
  2**63,
  2**64 - 1,
  0.0,
  -0.0,
  -1.5,
  Float::INFINITY,
  -Float::INFINITY,
  Float::NAN,
  5e-324,
  "",
  "text",
  "with a zero \0 inside",
  "grüß dich",
  "four bytes: \u{1D11E}",
  "".b,
  "\0\xFF".b,
  "letters alone".b,
  [],
  [1, [2.5, ["three", nil]]],
  {},
  {"name" => "tea", 7 => ["x".b], nil => {true => false}, [1, 2] => 3},
  Coppice::Tagged.new(2**64 - 1, "\0{}".b),
  Coppice::Record.new([1, "x", [nil]]),
  Coppice::Record.new([1], "shop::order")
].freeze

class CoppiceTest < Minitest::Test
  def setup
    @node = Coppice::Node.open(TREE, log_level: :off)
    @a = @node.actor("a")
    @b = @node.actor("b")
    @to_b = @a.find("/#{TREE}/b")
  end

  def teardown
    [@to_b, @a, @b, @node].each(&:close)
    assert_equal 0, Coppice.open_handles, "handles are left open"
  end

  # Exact kinds, the order of maps, the encoding of strings, not a number, and the sign of zero.
  def comparable(value)
    case value
    when String then [value.encoding, value]
    when Float then [Float, [value].pack("G")]
    when Array then value.map { |part| comparable(part) }
    when Hash then [Hash, comparable(value.to_a)]
    when Coppice::Record then [Coppice::Record, value.type, comparable(value.fields)]
    when Coppice::Tagged then [Coppice::Tagged, value.tag, comparable(value.content)]
    else [value.class, value]
    end
  end

  def assert_same_value(sent, back) = assert_equal(comparable(sent), comparable(back))

  def nested(lists) = (1...lists).inject([]) { |all, _| [all] }

  def assert_told(type, name, words = "", &)
    told = assert_raises(type, &)
    assert_instance_of type, told
    assert_equal name, told.code_name
    assert_includes told.message, words
  end

  # Lets b answer requests on a thread, until it is stopped.
  def serving(answer = method(:answer))
    thread = Thread.new { @b.serve(&answer) }
    yield
  ensure
    @a.stop(@to_b)
    thread.join
  end

  def answer(mail)
    case mail.value
    when "fail" then mail.fail("es geht nicht: ü")
    when "drop" then nil
    else mail.reply(mail.value)
    end
  end
end

class Values < CoppiceTest
  def test_arrive_as_they_were_sent
    VALUES.each do |value|
      [0, LONG].each do |wait|
        @a.send(@to_b, value, wait: wait)
        @b.receive(within: LONG) do |mail|
          assert_same_value value, mail.value
          refute_predicate mail, :request?
        end
      end
    end
  end

  def test_in_other_words_arrive_as_the_usual_ones
    @a.send(@to_b, {price: "gr\xFC\xDF".dup.force_encoding("ISO-8859-1")})
    @b.receive(within: LONG) { |mail| assert_same_value({"price" => "grüß"}, mail.value) }
  end

  def test_of_sixteen_mebibytes_arrive
    ["x" * (16 << 20), "\xAB".b * (16 << 20)].each do |value|
      @a.send(@to_b, value)
      @b.receive(within: LONG) { |mail| assert_equal comparable(value).hash, comparable(mail.value).hash }
    end
  end

  def test_tagged_are_told_also_where_they_come_as_records
    tagged = Coppice::Tagged.new(2**64 - 1, "\0{}".b)
    @a.send(@to_b, [tagged])
    @b.receive(within: LONG) { |mail| assert_equal tagged, Coppice::Tagged.of(mail.value[0]) }
    assert_equal tagged, Coppice::Tagged.of(Coppice::Record.new([2**64 - 1, "\0{}".b])) # as it comes over a link
    assert_nil Coppice::Tagged.of(Coppice::Record.new([-1, "".b]))
    assert_nil Coppice::Tagged.of(Coppice::Record.new([1, ""]))
    assert_nil Coppice::Tagged.of(nil)
  end

  def test_refs_lead_back
    @a.ref.closed_after do |own|
      @a.send(@to_b, [own])
      @b.receive(within: LONG) do |mail|
        back = mail.value[0]
        sender = mail.sender
        assert_equal own, back
        assert_equal({sender => 1}, {back => 1})
        refute_equal @to_b, back
        assert_includes own.to_s, @a.path
        @b.send(back, "here")
        [back, sender].each(&:close)
      end
    end
    @a.receive(within: LONG) { |mail| assert_equal "here", mail.value }
  end

  def test_are_nested_up_to_32_levels
    @a.send(@to_b, nested(32))
    @b.receive(within: LONG) { |mail| assert_equal nested(32), mail.value }
    assert_told(Coppice::TooLarge, "too_large", "32") { @a.send(@to_b, nested(33)) }
    itself = []
    itself << itself
    assert_told(Coppice::TooLarge, "too_large", "32") { @a.send(@to_b, itself) }
  end

  def test_that_cannot_be_sent_are_refused_and_nothing_is_left
    before = Coppice.open_handles
    {
      2**64 => RangeError,
      [1, [-2**63 - 1]] => RangeError,
      Object.new => TypeError,
      1r => TypeError,
      {"a" => Object.new} => TypeError,
      {Object.new => "a"} => TypeError,
      Coppice::Record.new([1, Object]) => TypeError,
      Coppice::Record.new({}) => TypeError,
      Coppice::Tagged.new(-1, "") => RangeError,
      Coppice::Tagged.new("1", "") => TypeError,
      Coppice::Tagged.new(1, nil) => TypeError,
      "\xFF" => EncodingError,
      "\xED\xA0\x80" => EncodingError,
      ["fine", "not \xC0"] => EncodingError
    }.each do |value, error|
      assert_raises(error, value.inspect) { @a.send(@to_b, value) }
      assert_raises(error, value.inspect) { @a.ask(@to_b, value) }
      assert_raises(error, value.inspect) { @a.publish("all", value) }
    end
    assert_raises(TypeError) { @a.send(nil, 1) }
    assert_raises(TypeError) { @a.ask(@b, 1) }
    assert_equal before, Coppice.open_handles
    assert_nil @b.poll
  end

  def test_have_numbers_for_their_types
    refute_equal 0, Coppice.type_id("shop::order")
    refute_equal Coppice.type_id("shop::bill"), Coppice.type_id("shop::order")
    assert_equal Coppice.type_id("shop::order"), Coppice::Record.new([], "shop::order").type
  end
end

class Asking < CoppiceTest
  def test_returns_what_was_replied
    serving { VALUES.each { |value| assert_same_value value, @a.ask(@to_b, value, within: LONG) } }
  end

  def test_raises_what_it_came_back_with
    serving do
      assert_told(Coppice::Failed, "failed", "es geht nicht: ü") { @a.ask(@to_b, "fail", within: LONG) }
      assert_told(Coppice::NoReply, "no_reply") { @a.ask(@to_b, "drop", within: LONG) }
    end
  end

  def test_has_a_limit
    assert_told(Coppice::Timeout, "timeout") { @a.ask(@to_b, "nobody receives", within: 0.01) }
  end

  def test_is_answered_once_and_later_from_any_thread
    asked = [1, 2].map { |number| Thread.new { @a.ask(@to_b, number, within: LONG) } }
    requests = @b.first(2)
    assert_predicate requests[0], :request?
    Thread.new { requests.reverse_each { |mail| mail.closed_after { mail.reply(mail.value) } } }
    assert_equal [1, 2], asked.map(&:value)

    asked = Thread.new { @a.ask(@to_b, 3, within: LONG) }
    @b.receive(within: LONG) do |mail|
      mail.reply
      assert_told(Coppice::Closed, "closed") { mail.reply(2) }
      assert_told(Coppice::Closed, "closed") { mail.fail("too late") }
    end
    assert_nil asked.value
  end

  def test_from_two_threads_gets_each_its_own_answers
    serving do
      2.times.map do |name|
        Thread.new { 300.times { |i| assert_equal [name, i], @a.ask(@to_b, [name, i], within: LONG) } }
      end.each(&:join)
    end
  end
end

class MailTest < CoppiceTest
  def test_comes_in_order
    1000.times { |i| @a.send(@to_b, i) }
    assert_equal((0...1000).to_a, @b.lazy.map { |mail| mail.closed_after(&:value) }.first(1000))
    assert_nil @b.poll
    assert_told(Coppice::Timeout, "timeout") { @b.receive(within: 0.01) }
  end

  def test_wakes_whoever_waits_for_its_descriptor
    assert_nil IO.select([@b], nil, nil, 0)
    woken = Thread.new { IO.select([@b], nil, nil, LONG) }
    @a.send(@to_b, "wake up")
    assert_equal [[@b], [], []], woken.value
    @b.poll.close
    assert_nil IO.select([@b], nil, nil, 0)
    @a.stop(@to_b)
    assert IO.select([@b], nil, nil, LONG)
    assert_kind_of Integer, @b.fileno
  end

  def test_lets_other_threads_run_while_one_waits_for_it
    main = Thread.new { @b.receive(within: LONG, &:value) }
    asked = Thread.new { @a.ask(@to_b, "waits for its limit", within: 0.2) rescue $!.code_name }
    counted = 0
    counted += 1 while asked.alive?
    assert_operator counted, :>, 1000
    assert_equal "waits for its limit", main.value
    assert_includes %w[timeout no_reply], asked.value
  end

  def test_is_waited_for_until_an_exception_of_another_thread
    assert_raises(::Timeout::Error) { ::Timeout.timeout(0.01) { @b.receive } }
    @a.send(@to_b, "is not lost")
    assert_equal "is not lost", @b.receive(within: LONG, &:value)
  end

  def test_that_was_peeked_at_stays_until_it_is_received_or_closed
    assert_raises(Coppice::Timeout) { @b.peek(within: 0) }
    %w[first second third].each { |text| @a.send(@to_b, text) }
    seen = @b.peek(within: LONG)
    assert_same seen, @b.peek(within: LONG)
    assert_same seen, @b.receive(within: LONG)
    assert_equal "first", seen.closed_after(&:value)
    @b.peek(within: LONG).close
    assert_equal "third", @b.peek(within: LONG).value # is closed with its actor
  end

  def test_ends_with_the_actor
    @a.send(@to_b, "the last")
    @a.stop(@to_b)
    assert_equal ["the last"], @b.map { |mail| mail.closed_after(&:value) }
    assert_told(Coppice::Stopping, "stopping") { @b.receive(within: LONG) }
  end

  def test_is_closed_when_its_block_is_left_by_an_exception_too
    @a.send(@to_b, 1)
    served = nil
    assert_raises(ZeroDivisionError) do
      @b.serve do |mail|
        served = mail
        raise ZeroDivisionError
      end
    end
    assert_predicate served, :closed?
  end

  def test_that_is_waited_for_ends_when_the_actor_is_closed
    waiting = Thread.new do
      @b.receive { |mail| mail.reply("waits next") }
      # Closed: it came too late to wait.
      assert_includes %w[stopping closed], assert_raises(Coppice::Error) { @b.receive }.code_name
    end
    @a.ask(@to_b, "are you there", within: LONG)
    @b.close
    waiting.join
  end

  def test_tells_the_end_of_who_is_monitored
    forgotten = @a.monitor(@to_b)
    number = @a.monitor(@to_b)
    refute_equal forgotten, number
    @a.demonitor(forgotten)
    @b.give_up("no flour: ü")
    @b.close
    @a.receive(within: LONG) do |mail|
      assert_predicate mail, :ended?
      assert_equal number, mail.number
      assert_includes mail.value, "no flour: ü"
    end
    assert_nil @a.poll
    assert_told(Coppice::Down, "down") { @a.ask(@to_b, 1) }
  end

  def test_tells_who_was_killed_or_shut_down
    @node.actor do |c|
      c.ref.closed_after do |to_c|
        @a.monitor(to_c)
        @a.kill(to_c)
        @a.receive(within: LONG) { |mail| assert_includes mail.value, "killed" }
      end
    end
    @a.monitor(@to_b)
    @a.shutdown(@to_b, within: LONG)
    assert_raises(Coppice::Stopping) { @b.receive(within: LONG) }
    @b.close
    @a.receive(within: LONG) { |mail| assert_predicate mail, :ended? }
  end

  def test_to_a_group_reaches_the_others
    @a.join("news")
    @b.join("news")
    assert_equal 1, @a.publish("news", {"it" => "rains"})
    @b.receive(within: LONG) { |mail| assert_equal({"it" => "rains"}, mail.value) }
    @b.leave("news")
    assert_equal 0, @a.publish("news", 1)
    assert_nil @a.poll
  end

  def test_has_no_room_in_a_full_mailbox
    @node.actor("c", mailbox: 1) do |c|
      c.ref.closed_after do |to_c|
        assert_told(Coppice::Timeout, "timeout") { 5_000.times { |i| @a.send(to_c, i, wait: 0.01) } }
        assert_told(Coppice::MailboxFull, "mailbox_full") { 5_000.times { |i| @a.send(to_c, i) } }
      end
    end
    assert_raises(ArgumentError) { @node.actor("d", mailbox: -1) }
  end
end

class Names < CoppiceTest
  def test_are_taken_once_and_found_only_where_somebody_has_them
    assert_equal "/#{TREE}/a", @a.path
    assert_told(Coppice::NameTaken, "name_taken", "a") { @node.actor("a") }
    assert_told(Coppice::NotFound, "not_found", "nobody") { @a.find("/#{TREE}/nobody") }
    assert_told(Coppice::Unreachable, "unreachable") { @a.find("/elsewhere/nobody") }
    assert_told(Coppice::Error, "bad_name") { @node.actor("not a name/") }
    assert_told(Coppice::NotFound, "not_found") { Coppice::Node.open(tree: "a-tree-that-does-not-run") }
    assert_raises(ArgumentError) { @a.find("/#{TREE}\0/a") }
    assert_raises(TypeError) { @a.find(nil) }
  end

  def test_of_trees_and_endpoints_are_joined
    Dir.mktmpdir do |folder|
      secret = Pathname(folder) / "secret"
      secret.write("sixteen bytes of it, or more\n")
      place = "unix://#{folder}/socket"
      Coppice::Node.open("#{TREE}-root", listen: [place], secret_file: secret, log_level: :off) do |root|
        far = root.actor("far")
        Coppice::Node.open("leaf", parent: place, secret_file: secret, log_level: :off) do |leaf|
          leaf.actor do |here|
            here.find(far.path).closed_after { |to_far| here.send(to_far, "over a link") }
            far.receive(within: LONG) { |mail| assert_equal "over a link", mail.value }
          end
        end
        assert_raises(Coppice::Error) { Coppice::Node.open(parent: place, log_level: :off) }
        far.close
      end
    end
    Coppice::Node.open(tree: TREE, log_level: :off) do |guest|
      guest.actor { |there| there.find(@a.path).closed_after { |to_a| there.send(to_a, "by name") } }
    end
    assert_equal "by name", @a.receive(within: LONG, &:value)
  end
end

class Handles < CoppiceTest
  def test_that_were_closed_are_told_as_such
    c = @node.actor("c")
    c.close
    c.close
    assert_told(Coppice::Closed, "closed", "closed") { c.path }
    assert_told(Coppice::Closed, "closed", "closed") { c.receive }
    ref = @a.ref
    ref.close
    assert_equal "closed", ref.to_s
    refute_equal ref, @to_b
    assert_told(Coppice::Closed, "closed", "closed") { @a.send(ref, 1) }
    assert_told(Coppice::Closed, "closed", "closed") { @a.send(@to_b, [1, ref]) }
    @a.send(@to_b, 1)
    mail = @b.receive(within: LONG)
    mail.close
    assert_told(Coppice::Closed, "closed", "closed") { mail.value }
    assert_equal 5, @node.actor("c") { 5 } # its name is free
  end

  def test_that_nobody_has_any_more_are_closed_by_the_collector
    before = Coppice.open_handles
    100.times { @a.ref }
    assert_operator Coppice.open_handles, :>, before
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LONG
    # One or two may still be on the machine's stack, where the collector looks.
    while Coppice.open_handles > before + 2
      assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC), :<, deadline, "the collector closes nothing"
      GC.start
    end
    ObjectSpace.each_object(Coppice::Ref) { |ref| ref.close unless ref.equal?(@to_b) }
  end

  def test_are_refused_after_a_fork
    read, write = IO.pipe
    child = fork do
      read.close
      write << (begin
        @a.send(@to_b, "from the child")
      rescue Coppice::InvalidArgument => e
        e.code_name
      end)
      write.close
      exit!
    end
    write.close
    assert_equal "invalid_argument", read.read
    read.close
    Process.wait(child)
  end
end

class Programs < CoppiceTest
  def test_that_are_no_children_are_told_so
    refute_predicate Coppice, :child?
    assert_told(Coppice::NotFound, "not_found", "supervisor") { Coppice.run_as_child { |me| me } }
    assert_raises(ArgumentError) { Coppice.run_as_child }
  end

  def test_log_at_a_level
    @a.log("by default")
    %i[trace debug info warn error].each { |level| @a.log("grüß", level) }
    assert_raises(ArgumentError) { @a.log("no level", :loud) }
    assert_told(Coppice::InvalidArgument, "invalid_argument") { @a.log("is no level of a record", :off) }
  end

  def test_say_hello_and_are_told_the_price
    library = File.expand_path("../lib", __dir__)
    hello = File.expand_path("../examples/hello.rb", __dir__)
    @node.actor("shop") do |shop|
      Open3.popen2(RbConfig.ruby, "-w", "-I", library, hello, TREE, shop.path, err: File::NULL) do |_, said, program|
        shop.receive(within: LONG) { |mail| assert_equal "hello", mail.value }
        shop.receive(within: LONG) do |mail|
          assert_equal({"price of" => "tea"}, mail.value)
          mail.reply(2.5)
        end
        assert_equal "2.5\n", said.read
        assert_predicate program.value, :success?
      end
    end
  end
end
