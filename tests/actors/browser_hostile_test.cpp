// Strangers at the host of pages (coppice/actors/browser.hpp): frames that are none, that are out of turn, that ask for what nobody
// may. A WebSocket client of the test's own, and frames by the code that Cap'n Proto generates.
#include "browser_rig.hpp"

#include <random>
#include <string>

#include "coppice/capnp.hpp"

#include "browser.capnp.h"
#include "support/web_client.hpp"

namespace coppice::tests {
namespace {

using schema::BrowserFrame;

/// Numbers of the schema's kinds.
enum kind : std::uint16_t {
    hello = 1,
    resume = 2,
    welcome = 3,
    refused = 4,
    ping = 6,
    mail = 16,
    failure = 19,
    join = 20,
    find_name = 23
};

template <class Fill>
std::string frame_of(std::uint16_t kind, Fill fill) {
    const auto built = capnp_message<BrowserFrame>::build([&](BrowserFrame::Builder f) {
        f.setKind(kind);
        fill(f);
    });
    const auto words = std::as_bytes(built.words());
    return {reinterpret_cast<const char*>(words.data()), words.size()};
}
void set_payload(BrowserFrame::Builder f, std::string_view bytes) {
    f.setPayload({reinterpret_cast<const ::capnp::byte*>(bytes.data()), bytes.size()});
}
std::string hello_with(const std::string& token, const std::string& name = {}) {
    return frame_of(hello, [&](BrowserFrame::Builder f) {
        f.setCode(1);
        f.setText(name);
        set_payload(f, token);
    });
}

std::string resume_of(const std::string& token) {
    return frame_of(resume, [&](BrowserFrame::Builder f) {
        f.setCode(1);
        set_payload(f, token);
    });
}

struct seen_frame {
    std::uint16_t kind = 0;
    std::uint16_t code = 0;
    std::uint64_t correlation = 0;
    std::string text;
};
seen_frame read_frame(const std::string& bytes) {
    std::vector<std::uint64_t> words(bytes.size() / 8);
    std::memcpy(words.data(), bytes.data(), words.size() * 8);
    auto read = capnp_message<BrowserFrame>::from_words(words);
    EXPECT_TRUE(read);
    if (!read) return {};
    const auto f = read->get();
    return {f.getKind(), f.getCode(), f.getCorrelation(), f.getText().cStr()};
}

class BrowserHostile : public browser_rig {
protected:
    const std::string token = "0123456789abcdef";

    web_client stranger(const std::string& path = "/") {
        web_client c{port_};
        EXPECT_NE(c.shake_hands(path).find(" 101 "), std::string::npos);
        return c;
    }
    web_client guest(const std::string& name = {}) {
        web_client c = stranger();
        c.send(2, hello_with(token, name));
        EXPECT_EQ(read_frame(c.next().text).kind, welcome);
        EXPECT_EQ(next(c).kind, 5);
        return c;
    }
    static seen_frame next(web_client& c) { return read_frame(c.next().text); }
    /// The close, behind whatever comes before it.
    static web_frame end_of(web_client& c) {
        web_frame f = c.next();
        while (f.opcode == 2) f = c.next();
        return f;
    }
    static void expect_end(web_client c, unsigned code) { EXPECT_EQ(end_of(c).code(), code); }
    void expect_end_after(const std::string& bytes, unsigned code, int opcode = 2) {
        web_client c = stranger();
        c.try_write(web_client::frame(opcode, bytes));
        expect_end(std::move(c), code);
    }
};

TEST_F(BrowserHostile, WhoDoesNotGreetAsItShouldIsTurnedAway) {
    browser::host_options options = friendly();
    options.greeting = 60s;
    options.sessions = 1;
    start(options);
    expect_end_after("hello", 4002, 1);
    expect_end_after("no frame", 4002);
    expect_end_after({}, 4002);
    expect_end_after(std::string(8, '\xff'), 4002);
    expect_end_after(frame_of(99, [](auto) {}), 4002);
    expect_end_after(frame_of(mail, [](auto f) { f.setSequence(1); }), 4002);
    expect_end_after(frame_of(mail, [](auto) {}), 4002);
    expect_end_after(hello_with("short"), 4002);
    expect_end_after(frame_of(hello, [](auto f) { f.setText(std::string(5'000, 'x')); }), 4002);
    expect_end_after(frame_of(hello, [](auto f) { f.setText("\xff\xff"); }), 4002);
    expect_end_after(frame_of(hello, [&](auto f) { f.setCode(2); }), 4003);
    expect_end_after(hello_with(token, "a/b"), 4003);
    {
        web_client c = stranger();
        c.write(web_client::frame(2, std::string(4u << 20, 'x')).substr(0, 14));  // its size is enough
        expect_end(std::move(c), 1009);
    }
    {
        web_client c = stranger();
        c.send(2, resume_of(token));
        const seen_frame why = next(c);
        EXPECT_EQ(why.kind, refused);
        EXPECT_EQ(static_cast<errc>(why.code), errc::not_found);
        expect_end(std::move(c), 4004);
    }
    const web_client present = guest();
    expect_end_after(hello_with("another token 16"), 4003);  // one session is the most
    EXPECT_EQ(report().sessions.size(), 1u);
}

TEST_F(BrowserHostile, ASessionIsNotTakenOverByWhoHasShownAnotherTokenOfThePort) {
    browser::host_options options = friendly();
    options.at.tokens = {{"kiosk", "one"}, {"stray", "two"}};
    start(options);
    web_client owner = stranger("/?token=one");
    owner.send(2, hello_with(token));
    EXPECT_EQ(next(owner).kind, welcome);
    EXPECT_EQ(next(owner).kind, 5);
    for (const std::string& greeting : {resume_of(token), hello_with(token)}) {
        web_client thief = stranger("/?token=two");
        thief.send(2, greeting);
        const seen_frame why = next(thief);
        EXPECT_EQ(why.kind, refused);
        EXPECT_EQ(static_cast<errc>(why.code), errc::denied) << why.text;
        expect_end(std::move(thief), 4003);
    }
    owner.send(2, frame_of(ping, [](auto f) { f.setCorrelation(9); }));
    EXPECT_EQ(next(owner).correlation, 9u);
    web_client again = stranger("/?token=one");
    again.send(2, resume_of(token));
    EXPECT_EQ(next(again).kind, welcome);
}

TEST_F(BrowserHostile, WhoSaysNothingIsTurnedAwayInTime) {
    browser::host_options options;
    options.greeting = 50ms;
    start(options);
    expect_end(stranger(), 4008);
    EXPECT_EQ(report().turned_away, 1u);
}

TEST_F(BrowserHostile, AFrameThatDoesNotBelongThereEndsItsConnectionAndNotTheSession) {
    start(friendly());
    const std::vector<std::string> wrong{
        "no frame",
        frame_of(welcome, [](auto) {}),
        hello_with(token),
        frame_of(28 + 1, [](auto) {}),
        frame_of(24, [](auto f) { f.setSequence(1); }),    // found: the host says that
        frame_of(mail, [](auto f) { f.setSequence(7); }),  // a gap
        frame_of(mail, [](auto f) { f.setSequence(1), f.setAcknowledged(1000); }),  // of what was not sent
        frame_of(mail, [](auto f) { f.setSequence(1), f.setTaken(1000); }),
    };
    for (const std::string& each : wrong) {
        web_client c = guest();
        c.send(2, each);
        expect_end(std::move(c), 4002);
    }
    EXPECT_EQ(report().begun, 1u);
    web_client c = guest();
    c.send(2, frame_of(ping, [](auto f) { f.setCorrelation(9); }));
    EXPECT_EQ(next(c).correlation, 9u);
}

TEST_F(BrowserHostile, AskedForWhatNobodyMayItSaysWhy) {
    start(friendly());
    web_client c = guest();
    std::uint64_t number = 0;
    const auto fails_with = [&](std::uint16_t kind, errc code, auto fill) {
        ++number;
        c.send(2, frame_of(kind, [&](BrowserFrame::Builder f) {
                   f.setSequence(number);
                   f.setCorrelation(number);
                   fill(f);
               }));
        seen_frame f = next(c);
        while (f.kind < mail) f = next(c);
        EXPECT_EQ(f.correlation, number);
        EXPECT_EQ(to_string(static_cast<errc>(f.code)), to_string(code)) << f.text;
        EXPECT_EQ(f.kind == failure, code != errc::ok) << f.text;
    };
    const auto bytes_of = [](const value& v) {
        const auto bytes = v.encode();
        return std::string{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    };
    fails_with(mail, errc::not_found, [](auto f) { f.setActor(999); });
    fails_with(find_name, errc::denied, [](auto f) { f.setText("tcp://127.0.0.1:1#/app/judge"); });
    fails_with(find_name, errc::denied, [](auto f) { f.setText("/app/a/b"); });
    fails_with(find_name, errc::denied, [](auto) {});
    fails_with(find_name, errc::ok, [](auto f) { f.setText("/app/judge"); });  // actor 1
    fails_with(mail, errc::bad_message, [](auto f) {
        f.setActor(1);
        set_payload(f, "no value");
    });
    fails_with(mail, errc::denied, [&](auto f) {  // a reference that it has made up
        f.setActor(1);
        set_payload(f, bytes_of(value{wire_reference{1, 2, 3}}));
    });
    for (const char* order : {"coppice.stop", "coppice::down", "coppice::exit_signal"})
        fails_with(mail, errc::denied, [&](auto f) {
            f.setActor(1);
            f.setType(type_id(order));
            set_payload(f, bytes_of(value{value::record{}}));
        });
    fails_with(join, errc::denied, [](auto f) { f.setText("secrets"); });
    EXPECT_TRUE(judge_->all().empty());
}

TEST_F(BrowserHostile, AFrameThatComesTwiceIsTakenOnce) {
    start(friendly());
    web_client c = guest();
    c.send(2, frame_of(find_name, [](auto f) {
               f.setSequence(1);
               f.setCorrelation(1);
               f.setText("/app/judge");  // actor 1
           }));
    while (next(c).kind < mail) {
    }
    const auto bytes = value{"once"}.encode();
    for (int i = 0; i < 3; ++i)
        c.send(2, frame_of(mail, [&](auto f) {
                   f.setSequence(2);
                   f.setActor(1);
                   set_payload(f, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
               }));
    c.send(2, frame_of(ping, [](auto f) { f.setCorrelation(5); }));
    while (next(c).correlation != 5) {
    }
    judge_->wait(value{"once"});
    EXPECT_EQ(app_.ask<any_request>(find("/app/judge"), 60s, any_request{value{1}}).value(), value{1});
    EXPECT_EQ(judge_->all().size(), 1u);
}

TEST_F(BrowserHostile, WhoAsksAndAcknowledgesNothingIsClosedInTime) {
    browser::host_options options = friendly();
    options.window = 8;
    options.asks = 8;
    options.monitors = 8;
    start(options);
    web_client c = guest();
    for (std::uint64_t i = 1; i <= 100; ++i)
        c.try_write(web_client::frame(2, frame_of(mail, [&](auto f) {
                                          f.setSequence(i);
                                          f.setCorrelation(i);
                                          f.setActor(999);
                                      })));
    expect_end(std::move(c), 4008);
}

TEST_F(BrowserHostile, DamagedFramesHarmNobodyElse) {
    start(friendly());
    web_client bystander = guest("bystander");
    std::mt19937_64 random{20'260'101};
    const std::string whole = frame_of(mail, [&](BrowserFrame::Builder f) {
        f.setSequence(1);
        f.setActor(1);
        f.setText("some words");
        set_payload(f, "00000000111111112222222233333333");
    });
    for (int i = 0; i < 300; ++i) {
        std::string damaged = i % 2 ? whole : hello_with("damaged token " + std::to_string(10 + i % 90));
        for (std::uint64_t n = 1 + random() % 6; n > 0; --n)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        if (random() % 4 == 0) damaged.resize(random() % damaged.size());
        web_client c = stranger();
        c.send(2, damaged);
        if (i % 50 == 0) c.leave();
    }
    bystander.send(2, frame_of(ping, [](auto f) { f.setCorrelation(4); }));
    EXPECT_EQ(next(bystander).correlation, 4u);
}

}  // namespace
}  // namespace coppice::tests
