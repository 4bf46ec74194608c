# What an actor receives.
module Coppice
  # What an actor has received. A request that is closed without a reply is answered with NoReply. Any thread; it may be answered
  # later, from another one.
  class Mail < Handle
    public_class_method :new

    KINDS = {1 => :message, 2 => :request, 3 => :answer, 4 => :end}.freeze
    private_constant :KINDS

    def initialize(handle)
      super
      @kind = KINDS[ABI.made(:mail_kind_of, handle, form: "l")]
    end

    # What was sent. Of one that tells an end: its reason, in words.
    def value
      return @value if defined?(@value)

      @value = Values.from_handle(ABI.made(:mail_value, handle))
    end

    # Its sender waits for reply or fail.
    def request? = @kind == :request

    # A monitored actor has ended: `number` is what monitor gave.
    def ended? = @kind == :end

    def number = ABI.made(:mail_number, handle)

    # nil: nobody says so.
    def sender
      Ref.new(ABI.made(:mail_sender, handle))
    rescue NotFound
      nil
    end

    # Answers a request, once, from any thread. Closed: it has been answered.
    def reply(value = nil)
      Values.with(value) { |made| ABI.call(:reply, handle, made) }
    end

    # Its sender gets Failed, with this text.
    def fail(text)
      words = ABI.text(text)
      ABI.call(:fail, handle, words, words.bytesize)
    end

    def inspect = "#<Coppice::Mail #{@kind}#{" closed" if closed?}>"
  end
end
