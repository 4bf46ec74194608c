# The child of tests/capi/languages_test.cpp, which says what a child does.
require "coppice"

def values(own, large)
  [
    nil,
    true,
    false,
    0,
    -1,
    2**63 - 1,
    -2**63,
    2**64 - 1,
    0.5,
    -Float::INFINITY,
    Float::NAN,
    5e-324,
    "",
    "with a zero \0 inside",
    "four bytes: \u{1D11E}",
    "x" * large,
    "".b,
    "\0\xFF".b,
    "\xAB".b * large,
    [],
    [1, ["two", nil]],
    {},
    {"price" => 2.5, 7 => [true]},
    own,
    Coppice::Record.new([1, "x"]),
    Coppice::Tagged.new(2**64 - 1, "\0{}".b)
  ]
end

def same?(sent, back)
  return sent == Coppice::Tagged.of(back) if sent.is_a?(Coppice::Tagged) # as part of another value it travels as a record
  return false unless sent.instance_of?(back.class)

  case sent
  when String then sent.encoding == back.encoding && sent == back
  when Float then sent.nan? ? back.nan? : sent == back
  when Array then sent.size == back.size && sent.zip(back).all? { |a, b| same?(a, b) }
  when Hash then same?(sent.to_a, back.to_a)
  when Coppice::Record then sent.type == back.type && same?(sent.fields, back.fields)
  else sent == back
  end
end

def ask_for_all(me, path, large)
  wrong = []
  me.find(path).closed_after do |to|
    me.ref.closed_after do |own|
      values(own, large).each do |value|
        back = me.ask(to, Coppice::Record.new([value]), within: 60)
        wrong << "#{value.inspect[0, 100]} came back as #{back.inspect[0, 100]}" unless same?(value, back)
        back.close if back.is_a?(Coppice::Ref)
      rescue Coppice::Error => e
        wrong << "#{value.inspect[0, 100]}: #{e.message}"
      end
    end
  end
  wrong
end

def answer(me, asked)
  case asked
  in [] then Process.pid
  in [one] then one
  in [path, large] then ask_for_all(me, path, large)
  end
end

code = Coppice.run_as_child do |me|
  me.serve do |mail|
    raise mail.value unless mail.request?

    asked = mail.value.fields
    mail.reply(answer(me, asked))
    asked.each { |part| part.close if part.is_a?(Coppice::Ref) }
  end
end
exit code
