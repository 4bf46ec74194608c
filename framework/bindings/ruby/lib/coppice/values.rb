# Ruby objects as values of Coppice, and back; and what owns a handle.
#
#     nil true false Integer Float String Symbol Array Hash Ref Tagged Record
module Coppice
  # Owns a handle of the library; closed by close, at the end of a block, or some time after nobody has it any more.
  class Handle
    def initialize(handle)
      @handle = handle
      ObjectSpace.define_finalizer(self, Handle.closing(handle))
    end

    # Without `self`, which would never be forgotten.
    def self.closing(handle) = proc { ABI.close(handle) }
    private_class_method :new

    # What is closed says so: Closed.
    def close
      @closed = true
      ObjectSpace.undefine_finalizer(self)
      ABI.close(@handle)
      nil
    end

    def closed? = @closed == true

    # Yields it, and closes it when the block is left.
    def closed_after
      yield self
    ensure
      close
    end

    protected

    attr_reader :handle

    private

    # The handle of an argument.
    def of(argument, type, what)
      return argument.handle if argument.is_a?(type)

      raise TypeError, "#{what} is a #{argument.class}, where a #{type} is needed"
    end
  end
  private_constant :Handle

  # Leads to an actor, wherever it runs, also after it was restarted. Equal to another one that leads to the same actor.
  class Ref < Handle
    public_class_method :new

    def ==(other) = other.is_a?(Ref) && (equal?(other) || ABI.code_of(:same, handle, other.handle).zero?)
    alias eql? ==

    # The same for all: the library compares refs, and gives no number for them.
    def hash = Ref.object_id

    def to_s
      text = "\0".b * 1024
      return "closed" unless ABI.code_of(:ref_text, handle, text, text.bytesize).zero?

      text.unpack1("Z*").force_encoding(Encoding::UTF_8)
    end

    def inspect = "#<Coppice::Ref #{self}>"

    def to_value = ABI.made(:new_ref, handle)
    private :to_value
  end

  # Bytes of an encoding of your own (Protocol Buffers, JSON, ...), and a number that says which.
  Tagged = Struct.new(:tag, :content) do
    # Of what was received: as part of another value it may come as a record of two fields. nil: it is none.
    def self.of(value)
      return value if value.is_a?(Tagged)
      return unless value.is_a?(Record) && value.type.zero? && value.fields.size == 2

      tag, content = value.fields
      new(tag, content) if tag.is_a?(Integer) && !tag.negative? && Values.bytes?(content)
    end
  end

  # Fields in order, as of a C++ aggregate. `type`: the number of the message type that it is, or that type's C++ name,
  # "shop::order", which becomes its number; 0: of none.
  Record = Struct.new(:fields, :type) do
    def initialize(fields = [], type = 0)
      super(fields, type.is_a?(String) ? Coppice.type_id(type) : type)
    end
  end

  # The number of a message type, by its C++ name.
  def self.type_id(name) = ABI::TYPE_ID.call(ABI.name(name))

  module Values
    KINDS = %i[nothing bool int uint real text bytes list record map ref tagged].freeze
    MOST_NESTED = 32 # as the library has it; here it ends what holds itself

    module_function

    def bytes?(value) = value.is_a?(String) && value.encoding == Encoding::BINARY

    # Yields a handle of a value that lives as long.
    def with(value)
      handle = to_handle(value)
      begin
        yield handle
      ensure
        ABI.close_value(handle)
      end
    end

    # A new value of the library's; whoever has it closes it, or gives it to another one.
    def to_handle(value, depth = 0)
      case value
      when nil then ABI.made(:new_nothing)
      when true, false then ABI.made(:new_bool, value ? 1 : 0)
      when Integer then integer(value)
      when Float then ABI.made(:new_double, value)
      when String, Symbol then string(value)
      when Ref then value.__send__(:to_value)
      when Tagged then tagged(value)
      when Record, Array, Hash then whole(value, depth)
      else raise TypeError, "#{value.class} cannot be sent: it is no value of Coppice"
      end
    end

    def integer(number)
      return ABI.made(:new_int64, number) if number >= -2**63 && number < 2**63

      ABI.made(:new_uint64, unsigned(number))
    end

    def unsigned(number)
      raise TypeError, "#{number.inspect} is no number of 64 bits" unless number.is_a?(Integer)
      raise RangeError, "#{number} does not fit 64 bits" unless number >= 0 && number < 2**64

      number
    end

    def string(value)
      return sized(:new_bytes, value.dup) if bytes?(value)

      sized(:new_text, ABI.text(value.to_s))
    end

    def sized(name, *before, content) = ABI.made(name, *before, content, content.bytesize)

    def tagged(value)
      raise TypeError, "the content of a Tagged is a String" unless value.content.is_a?(String)

      sized(:new_tagged, unsigned(value.tag), value.content.dup)
    end

    def whole(value, depth)
      if depth >= MOST_NESTED
        raise Error.of(Error::TOO_LARGE, "lists, records and maps within one another are limited to #{MOST_NESTED}: flatten what you send")
      end

      case value
      when Array then filled(ABI.made(:new_list)) { |list| add_all(list, value, depth) }
      when Hash then filled(ABI.made(:new_map)) { |map| put_all(map, value, depth) }
      else
        raise TypeError, "the fields of a Record are an Array" unless value.fields.is_a?(Array)

        filled(ABI.made(:new_record_of, unsigned(value.type))) { |record| add_all(record, value.fields, depth) }
      end
    end

    # Closes what does not become whole.
    def filled(handle)
      yield handle
      is_whole = true
      handle
    ensure
      ABI.close_value(handle) unless is_whole
    end

    # `add` and `put` take the parts, whatever comes of it.
    def add_all(list, parts, depth) = parts.each { |part| ABI.call(:add, list, to_handle(part, depth + 1)) }

    def put_all(map, pairs, depth)
      pairs.each do |key, mapped|
        first = to_handle(key, depth + 1)
        begin
          second = to_handle(mapped, depth + 1)
        ensure
          ABI.close_value(first) unless second
        end
        ABI.call(:put, map, first, second)
      end
    end

    # What a value holds. Closes the handle.
    def from_handle(handle)
      case KINDS[ABI.made(:value_kind_of, handle, form: "l")]
      when :nothing then nil
      when :bool then ABI.made(:get_bool, handle, form: "l") != 0
      when :int then ABI.made(:get_int64, handle, form: "q")
      when :uint then ABI.made(:get_uint64, handle)
      when :real then ABI.made(:get_double, handle, form: "d")
      when :text then ABI.content(:get_text, handle).force_encoding(Encoding::UTF_8)
      when :bytes then ABI.content(:get_bytes, handle)
      when :list then parts(:value_at, handle)
      when :record then Record.new(parts(:value_at, handle), ABI.made(:value_type, handle))
      when :map then parts(:value_key, handle).zip(parts(:value_at, handle)).to_h
      when :ref then Ref.new(ABI.made(:get_ref, handle))
      when :tagged then tagged_of(handle)
      else raise TypeError, "a value of a kind that this version does not know"
      end
    ensure
      ABI.close_value(handle)
    end

    def parts(name, handle) = Array.new(ABI.made(:value_size, handle)) { |i| from_handle(ABI.made(name, handle, i)) }

    def tagged_of(handle)
      tag = ABI.room
      Tagged.new(nil, ABI.content(:get_tagged, handle, tag)).tap { |tagged| tagged.tag = tag.unpack1("Q") }
    end
  end
  private_constant :Values
end
