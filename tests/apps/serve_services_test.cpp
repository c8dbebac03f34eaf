// SPDX-License-Identifier: BSD-3-Clause
// Echo, discard and chargen over a link, with peers that are slow, half-closed or gone. Layer: tests.
#include <string>

#include "apps/serving.hpp"
#include "serve_chargen.hpp"
#include "serve_discard.hpp"
#include "serve_echo.hpp"

namespace handfast::apps {
namespace {

void small_buffers(CoreConfig& config) {
  config.tcp.send_buffer = 4096;
  config.tcp.receive_buffer = 3000;
}

std::string text_of(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>('A' + i * i % 61);
  return text;
}

TEST(Echo, on_data__comes_back) {
  Serving<EchoServer> echo{{}};
  echo.connect("hello");
  echo.receive(5);
  EXPECT_EQ(echo.client.received(), "hello");
  EXPECT_EQ(echo.server.bytes(), 5u);
  echo.close();
  echo.run_to_end();
  EXPECT_EQ(echo.client.reason(), CloseReason::finished);
}

TEST(Echo, half_close_with_much_under_way__all_comes_back_and_then_the_fin) {
  const std::string text = text_of(200'000);
  Serving<EchoServer> echo{small_buffers};
  std::size_t sent = 0;
  const auto more = [&](Conn& c) {
    if (sent == text.size()) return;
    sent += c.send(std::string_view{text}.substr(sent));
    if (sent == text.size()) c.shutdown_write();
  };
  echo.connect({});
  echo.client.connected = more;
  echo.client.writable = more;
  echo.run_to_end();
  EXPECT_EQ(sent, text.size());
  EXPECT_TRUE(echo.client.received() == text);
  EXPECT_TRUE(echo.client.record().fin);
  EXPECT_EQ(echo.client.reason(), CloseReason::finished);
}

TEST(Echo, peer_does_not_read__the_server_stops_reading_and_holds_no_more_than_its_buffers) {
  const std::string text = text_of(100'000);
  Serving<EchoServer> echo{small_buffers};
  std::size_t sent = 0;
  const auto more = [&](Conn& c) { sent += c.send(std::string_view{text}.substr(sent)); };
  echo.connect({});
  echo.client.connected = [&](Conn& c) {
    c.pause_rx();
    more(c);
  };
  echo.client.writable = more;
  echo.pair.run_for(5s);
  const std::size_t stuck = sent;
  EXPECT_LT(stuck, 4 * 4096u);  // both ends' send and receive buffers
  echo.pair.run_for(5s);
  EXPECT_EQ(sent, stuck);
  echo.pair.core(1).find(echo.client.last())->resume_rx();
  echo.receive(text.size());
  EXPECT_TRUE(echo.client.received() == text);
  echo.close();
}

TEST(Discard, on_data__counted_and_not_answered) {
  Serving<DiscardServer> discard{{}};
  discard.connect(text_of(50'000));
  discard.pair.run_for(1s);
  discard.shut();
  discard.run_to_end();
  EXPECT_EQ(discard.server.bytes(), 50'000u);
  EXPECT_EQ(discard.client.received(), "");
  EXPECT_EQ(discard.client.reason(), CloseReason::finished);
}

TEST(Chargen, pattern__as_rfc_864_shows_it) {
  const std::string_view text = chargen_pattern.text();
  ASSERT_EQ(text.size(), 95u * 74);
  EXPECT_EQ(text.substr(0, 10), " !\"#$%&'()");
  EXPECT_EQ(text.substr(72, 2), "\r\n");
  EXPECT_EQ(text.substr(74, 4), "!\"#$");     // the next line is one further on
  EXPECT_EQ(text.substr(94 * 74, 3), "~ !");  // and the last begins with the last character
  for (std::size_t i = 0; i < text.size(); ++i)
    ASSERT_TRUE((text[i] >= ' ' && text[i] <= '~') || text[i] == '\r' || text[i] == '\n') << i;
}

TEST(Chargen, on_accept__streams_as_long_as_the_peer_reads) {
  Serving<ChargenServer> chargen{small_buffers};
  chargen.connect({});
  chargen.receive(100'000);
  const std::string& got = chargen.client.received();
  ASSERT_GE(got.size(), 100'000u);
  std::string expected;
  while (expected.size() < got.size()) expected += chargen_pattern.text();
  EXPECT_TRUE(got == expected.substr(0, got.size()));
  // The peer stops reading: no more than the buffers hold is made.
  chargen.pair.core(1).find(chargen.client.last())->pause_rx();
  chargen.pair.run_for(5s);
  const std::uint64_t made = chargen.server.bytes();
  chargen.pair.run_for(5s);
  EXPECT_EQ(chargen.server.bytes(), made);
  chargen.pair.core(1).find(chargen.client.last())->resume_rx();
  chargen.shut();
  chargen.run_to_end();
  EXPECT_EQ(chargen.client.reason(), CloseReason::finished);
}

}  // namespace
}  // namespace handfast::apps
