# Errors of the library as exceptions.
module Coppice
  # What a call came back with. `code` is a number of the one table (docs/errors.md), `code_name` its name there.
  class Error < StandardError
    attr_reader :code

    def initialize(code, text)
      super(text)
      @code = code
    end

    def code_name = ABI.code_name(code)

    # The exception of a code.
    def self.of(code, text = ABI.code_name(code)) = (CLASSES[code] || Error).new(code, text)
  end

  # The time limit passed.
  class Timeout < Error; end
  # The actor has ended, or never existed.
  class Down < Error; end
  # The receiver's mailbox is at its bound.
  class MailboxFull < Error; end
  # No link leads to the actor's node.
  class Unreachable < Error; end
  # The actor that was asked does not take such a request.
  class NoHandler < Error; end
  # The actor that was asked has let go of the request without a reply.
  class NoReply < Error; end
  # Nothing has that name.
  class NotFound < Error; end
  # A living actor, or node, has that name.
  class NameTaken < Error; end
  # The actor or its node is asked to end.
  class Stopping < Error; end
  # The other side answered with an error of its own: its words.
  class Failed < Error; end
  # A value out of its documented range.
  class InvalidArgument < Error; end
  # What was used has been closed, or the request answered.
  class Closed < Error; end
  # The actor's node has ended, or was out of reach for too long.
  class NodeLost < Error; end
  # A message, or a value, is beyond a limit.
  class TooLarge < Error; end

  class Error
    TIMEOUT = 1
    STOPPING = 17
    TOO_LARGE = 29
    CLASSES = {
      TIMEOUT => Timeout,
      2 => Down,
      3 => MailboxFull,
      4 => Unreachable,
      6 => NoHandler,
      7 => NoReply,
      10 => NotFound,
      11 => NameTaken,
      STOPPING => Stopping,
      18 => Failed,
      19 => InvalidArgument,
      21 => Closed,
      22 => NodeLost,
      TOO_LARGE => TooLarge
    }.freeze
    private_constant :CLASSES
  end
end
