# coppice.h as fiddle sees it: the library, its functions with their types, and codes as exceptions.
#
# Any thread. Functions that may wait let go of the interpreter's lock; the others are too short for it. fiddle has no way to
# interrupt a function: mail, which may be waited for without a limit, is waited for by its descriptor.
require "fiddle"

module Coppice
  module ABI
    HEADER_MAJOR = 1
    HEADER_MINOR = 0
    FOREVER = 2**64 - 1

    INT = Fiddle::TYPE_INT
    UINT32 = -Fiddle::TYPE_INT
    INT64 = Fiddle::TYPE_LONG_LONG
    UINT64 = -Fiddle::TYPE_LONG_LONG
    REAL = Fiddle::TYPE_DOUBLE
    POINTER = Fiddle::TYPE_VOIDP
    TEXT = [POINTER, Fiddle::TYPE_SIZE_T].freeze

    # Names of functions that return a code, with the types of their arguments.
    MAY_WAIT = {
      close: [UINT64],
      open_node: [POINTER, POINTER],
      open_actor: [UINT64, POINTER, POINTER],
      open_child: [INT, POINTER, POINTER],
      ready: [UINT64],
      find: [UINT64, POINTER, POINTER],
      send: [UINT64, UINT64, UINT64, UINT64],
      ask: [UINT64, UINT64, UINT64, UINT64, POINTER],
      join: [UINT64, POINTER],
      leave: [UINT64, POINTER],
      publish: [UINT64, POINTER, UINT64, POINTER],
      monitor: [UINT64, UINT64, POINTER],
      forget_monitor: [UINT64, UINT64],
      stop: [UINT64, UINT64],
      shutdown: [UINT64, UINT64, UINT64],
      kill: [UINT64, UINT64],
      log: [UINT64, INT, *TEXT]
    }.freeze
    SHORT = {
      check_version: [UINT32, UINT32],
      give_up: [UINT64, *TEXT],
      path: [UINT64, POINTER, POINTER],
      self: [UINT64, POINTER],
      ref_text: [UINT64, *TEXT],
      same: [UINT64, UINT64],
      receive: [UINT64, UINT64, POINTER],
      peek: [UINT64, UINT64, POINTER],
      descriptor: [UINT64, POINTER],
      mail_kind_of: [UINT64, POINTER],
      mail_value: [UINT64, POINTER],
      mail_sender: [UINT64, POINTER],
      mail_number: [UINT64, POINTER],
      reply: [UINT64, UINT64],
      fail: [UINT64, *TEXT],
      new_nothing: [POINTER],
      new_bool: [INT, POINTER],
      new_int64: [INT64, POINTER],
      new_uint64: [UINT64, POINTER],
      new_double: [REAL, POINTER],
      new_text: [*TEXT, POINTER],
      new_bytes: [*TEXT, POINTER],
      new_tagged: [UINT64, *TEXT, POINTER],
      new_ref: [UINT64, POINTER],
      new_list: [POINTER],
      new_map: [POINTER],
      new_record_of: [UINT64, POINTER],
      add: [UINT64, UINT64],
      put: [UINT64, UINT64, UINT64],
      value_kind_of: [UINT64, POINTER],
      get_bool: [UINT64, POINTER],
      get_int64: [UINT64, POINTER],
      get_uint64: [UINT64, POINTER],
      get_double: [UINT64, POINTER],
      get_text: [UINT64, POINTER, POINTER],
      get_bytes: [UINT64, POINTER, POINTER],
      get_tagged: [UINT64, POINTER, POINTER, POINTER],
      get_ref: [UINT64, POINTER],
      value_size: [UINT64, POINTER],
      value_at: [UINT64, Fiddle::TYPE_SIZE_T, POINTER],
      value_key: [UINT64, Fiddle::TYPE_SIZE_T, POINTER],
      value_type: [UINT64, POINTER]
    }.freeze

    named = ENV["COPPICE_LIBRARY"].to_s
    LIBRARY = Fiddle.dlopen(named.empty? ? "libcoppice.so.1" : named)

    function = lambda do |name, arguments, returned, waits|
      Fiddle::Function.new(LIBRARY["coppice_#{name}"], arguments, returned, name: name.to_s, need_gvl: !waits)
    end
    FUNCTIONS = MAY_WAIT.to_h { |name, types| [name, function.(name, types, INT, true)] }
                        .merge(SHORT.to_h { |name, types| [name, function.(name, types, INT, false)] })
                        .freeze
    CLOSE_VALUE = function.(:close, [UINT64], INT, false)
    ERROR_TEXT = function.(:error_text, [], POINTER, false)
    CODE_NAME = function.(:code_name, [INT], POINTER, false)
    OPEN_HANDLES = function.(:open_handles, [], Fiddle::TYPE_SIZE_T, false)
    IS_CHILD = function.(:is_child, [], INT, false)
    EXIT_CODE = function.(:exit_code, [], INT, true)
    TYPE_ID = function.(:type_id, [POINTER], UINT64, false)

    module_function

    # The code that coppice_NAME returns.
    def code_of(name, *arguments) = FUNCTIONS.fetch(name).call(*arguments)

    # Calls coppice_NAME and raises what it comes back with.
    def call(name, *arguments) = check(code_of(name, *arguments))

    # The text of an error is that of this thread's last call.
    def check(code)
      raise Error.of(code, ERROR_TEXT.call.to_s.force_encoding(Encoding::UTF_8)) unless code.zero?
    end

    # The handle that coppice_NAME, which has a time limit, gives at once; nil: none.
    def at_once(name, handle)
      out = room
      code = code_of(name, handle, 0, out)
      return if code == Error::TIMEOUT

      check(code)
      out.unpack1("Q")
    end

    # Yields a struct of options, whose first member is its size. Texts are copied to where the collector moves nothing.
    def with_options(form, *members)
      texts = []
      plain = members.map do |member|
        next member.to_i unless member.is_a?(String) # nil: 0

        texts << Fiddle::Pointer.malloc(member.bytesize, Fiddle::RUBY_FREE)
        texts.last[0, member.bytesize] = member
        texts.last.to_i
      end
      yield [[0, *plain].pack("Q#{form}").bytesize, *plain].pack("Q#{form}")
    ensure
      texts.each(&:call_free)
    end

    # What coppice_NAME puts into its last argument, of 8 bytes; `form` is String#unpack's.
    def made(name, *arguments, form: "Q")
      out = room
      call(name, *arguments, out)
      out.unpack1(form)
    end

    # The text or bytes that coppice_NAME points to by its last two arguments.
    def content(name, *arguments)
      at = room
      size = room
      call(name, *arguments, at, size)
      pointed_to(at, size)
    end

    def pointed_to(at, size)
      bytes = size.unpack1("Q")
      bytes.zero? ? "".b : Fiddle::Pointer.new(at.unpack1("Q"))[0, bytes]
    end

    def room = "\0".b * 8

    # What is closed already is closed.
    def close(handle) = code_of(:close, handle)
    def close_value(handle) = CLOSE_VALUE.call(handle)

    def code_name(code) = CODE_NAME.call(code).to_s

    # nil: for ever. A time that is not nothing is at least a millisecond.
    def milliseconds(seconds)
      return FOREVER if seconds.nil? || seconds == Float::INFINITY
      return 0 unless seconds.positive?

      (seconds * 1000).to_i.clamp(1, FOREVER)
    end

    # A copy, which nobody changes while the library reads it.
    def text(text)
      encoded = text.to_str.encode(Encoding::UTF_8)
      raise EncodingError, "#{text.inspect[0, 100]} is no valid #{text.encoding}" unless encoded.valid_encoding?

      encoded
    end

    # For arguments that end at their terminating zero.
    def name(given)
      given = given.to_path if given.respond_to?(:to_path)
      raise TypeError, "#{given.inspect} is no name" unless given.is_a?(String) || given.is_a?(Symbol)

      encoded = text(given.to_s)
      raise ArgumentError, "a name must not have a zero character" if encoded.include?("\0")

      encoded << "\0"
    end

    def name_or_nil(given) = given.nil? ? nil : name(given)
  end
  private_constant :ABI

  ABI.call(:check_version, ABI::HEADER_MAJOR, ABI::HEADER_MINOR)
end
