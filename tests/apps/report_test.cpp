// SPDX-License-Identifier: BSD-3-Clause
// The load report: its arithmetic, its stable JSON names, its aligned columns. Layer: tests.
#include "common/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace handfast::apps {
namespace {

LoadReport sample() {
  LoadReport report;
  report.duration = 2s;
  report.opened = 1'000;
  report.established = 900;
  report.closed = 890;
  report.requests = 1'800;
  report.not_ok = 7;
  report.retransmits = 3;
  report.time_wait_cut_short = 4;
  report.bytes_in = 3 << 20;
  report.bytes_out = 512;
  report.failed = {{"refused", 60}, {"timed_out", 40}, {"reset", 0}};
  report.dropped = {{"tcp_duplicate", 5}, {"ip_checksum", 0}};
  report.connect.record_n(20us, 900);
  report.life.record_n(100us, 890);
  return report;
}

TEST(LoadReport, rates__count_over_duration) {
  EXPECT_DOUBLE_EQ(sample().connections_per_second(), 450);
  EXPECT_DOUBLE_EQ(sample().requests_per_second(), 900);
  EXPECT_EQ(sample().failed_total(), 100U);
  EXPECT_EQ(LoadReport{}.connections_per_second(), 0);  // not a division by zero
}

TEST(LoadReport, merge__cores_add_up_and_time_does_not) {
  LoadReport total = sample();
  LoadReport other = sample();
  other.duration = 3s;
  other.failed = {{"refused", 1}, {"unreachable", 5}};
  total.merge(other);
  EXPECT_EQ(total.duration, 3s);
  EXPECT_EQ(total.opened, 2'000U);
  EXPECT_EQ(total.established, 1'800U);
  EXPECT_EQ(total.closed, 1'780U);
  EXPECT_EQ(total.requests, 3'600U);
  EXPECT_EQ(total.not_ok, 14U);
  EXPECT_EQ(total.retransmits, 6U);
  EXPECT_EQ(total.time_wait_cut_short, 8U);
  EXPECT_EQ(total.bytes_in, 6U << 20);
  EXPECT_EQ(total.bytes_out, 1024U);
  EXPECT_EQ(total.failed.at("refused"), 61U);
  EXPECT_EQ(total.failed.at("unreachable"), 5U);
  EXPECT_EQ(total.dropped.at("tcp_duplicate"), 10U);
  EXPECT_EQ(total.connect.count(), 1'800U);
  EXPECT_EQ(total.life.count(), 1'780U);
}

TEST(LoadReport, to_json__every_figure_under_its_stable_name) {
  LoadReport report = sample();
  report.open_loop = true;
  report.target_rate = 500;
  report.not_started = 9;
  const auto json = nlohmann::json::parse(report.to_json());
  EXPECT_EQ(json.at("format"), "handfast-load-1");
  EXPECT_EQ(json.at("duration_ns"), 2'000'000'000);
  EXPECT_EQ(json.at("loop"), "open");
  EXPECT_EQ(json.at("latency_from"), "intended_start");
  EXPECT_EQ(json.at("target_rate"), 500);
  EXPECT_EQ(json.at("connections_per_second"), 450.0);
  EXPECT_EQ(json.at("requests_per_second"), 900.0);
  EXPECT_EQ(json.at("opened"), 1'000);
  EXPECT_EQ(json.at("established"), 900);
  EXPECT_EQ(json.at("closed"), 890);
  EXPECT_EQ(json.at("requests"), 1'800);
  EXPECT_EQ(json.at("not_ok"), 7);
  EXPECT_EQ(json.at("failed"), 100);
  EXPECT_EQ(json.at("failed_by_cause"), (nlohmann::json{{"refused", 60}, {"timed_out", 40}}));
  EXPECT_EQ(json.at("not_started"), 9);
  EXPECT_EQ(json.at("retransmits"), 3);
  EXPECT_EQ(json.at("dropped"), (nlohmann::json{{"tcp_duplicate", 5}}));
  EXPECT_EQ(json.at("time_wait_cut_short"), 4);
  EXPECT_EQ(json.at("bytes_in"), 3 << 20);
  EXPECT_EQ(json.at("bytes_out"), 512);
  EXPECT_EQ(json.at("connect").at("count"), 900);
  EXPECT_EQ(json.at("connect").at("p50_ns"), 20'000);
  EXPECT_EQ(json.at("life").at("p99_9_ns"), 100'000);
  EXPECT_EQ(json.at("life").at("max_ns"), 100'000);
}

TEST(LoadReport, to_json__nothing_failed__an_empty_object_not_null) {
  const auto json = nlohmann::json::parse(LoadReport{}.to_json());
  EXPECT_TRUE(json.at("failed_by_cause").is_object());
  EXPECT_EQ(json.at("loop"), "closed");
}

TEST(LoadReport, to_text__says_what_latency_means_and_names_each_cause) {
  LoadReport report = sample();
  const std::string closed_loop = report.to_text();
  EXPECT_NE(closed_loop.find("actual start"), std::string::npos);
  EXPECT_NE(closed_loop.find("refused"), std::string::npos);
  EXPECT_NE(closed_loop.find("timed_out"), std::string::npos);
  EXPECT_EQ(closed_loop.find("reset"), std::string::npos);  // none of these
  EXPECT_NE(closed_loop.find("20.0 us"), std::string::npos);
  EXPECT_NE(closed_loop.find("3.00 MiB"), std::string::npos);
  EXPECT_EQ(closed_loop.find("not started"), std::string::npos);
  report.open_loop = true;
  report.not_started = 1;
  report.life.record(2h);
  const std::string open_loop = report.to_text();
  EXPECT_NE(open_loop.find("intended start"), std::string::npos);
  EXPECT_NE(open_loop.find("not started"), std::string::npos);
  EXPECT_NE(open_loop.find("outside 0 to 1 h"), std::string::npos);
}

TEST(LoadReport, to_text__figures_end_in_the_same_column) {
  std::istringstream text{sample().to_text()};
  std::string line;
  int figures = 0;
  while (std::getline(text, line)) {
    if (line.empty() || line.find("latency") != std::string::npos) continue;
    if (line.find("refused answers") != std::string::npos) line.resize(42);  // a remark follows
    EXPECT_TRUE(line.size() == 42 || line.size() == 58) << line;
    ++figures;
  }
  EXPECT_GT(figures, 15);
}

TEST(LoadReport, to_text__no_latency_at_all__dashes_instead_of_zeros) {
  LoadReport report;
  report.duration = 1s;
  const std::string text = report.to_text();
  EXPECT_EQ(text.find("0 ns\n"), std::string::npos);
  EXPECT_NE(text.find("-\n"), std::string::npos);
}

TEST(SecondLine, columns__under_their_heads) {
  const SecondSample sample{3s, 500ms, 100'000, 12, 1, 2, 21us, 1500us};
  const std::string line = second_line(sample);
  EXPECT_EQ(line.size(), second_header().size());
  EXPECT_NE(line.find("   3 s"), std::string::npos);
  EXPECT_NE(line.find("200,000"), std::string::npos);  // half a second brought half of it
  EXPECT_NE(line.find("21.0 us"), std::string::npos);
  EXPECT_NE(line.find("1.50 ms"), std::string::npos);
  EXPECT_EQ(second_line({}).size(), second_header().size());
}

}  // namespace
}  // namespace handfast::apps
